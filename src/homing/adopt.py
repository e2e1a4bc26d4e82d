"""Reading the address out of a redis-py or valkey-py client object, by its shape: nothing is imported."""

from collections.abc import Mapping
from typing import Any

from homing.errors import SettingsError
from homing.target import OPEN, PORT, SENTINEL_PORT, Access, Address, Target


def target_of(client: object) -> Target:
    """Where a client object connects to: plain, made by a Sentinel, or a cluster; sync or async.

    Its pool is only read. Raises TypeError when it is none of these, SettingsError when it is
    one that homing cannot write through.
    """
    if hasattr(client, "nodes_manager"):
        return _of_cluster(client)
    pool = getattr(client, "connection_pool", client)
    options = getattr(pool, "connection_kwargs", None)
    if not isinstance(options, Mapping):
        raise TypeError(
            "the server is given as a URL or as a redis-py or valkey-py client,"
            f" not as {type(client).__name__}: homing connects to redis://host:6379/0, for example"
        )
    if type(client).__module__.partition(".")[0] == "fakeredis":
        raise SettingsError("fakeredis runs in this process alone; leave the URL out for the embedded server")
    if hasattr(pool, "sentinel_manager"):
        return _of_sentinel(pool, options)
    address = _address(options, PORT)
    return Target("single", (address,), _access(pool, options), _db(options))


def _of_cluster(client: Any) -> Target:
    manager = client.nodes_manager
    options = getattr(client, "connection_kwargs", None) or manager.connection_kwargs
    nodes = dict.fromkeys(Address(str(n.host), int(n.port)) for n in manager.startup_nodes.values())
    if _db(options):
        raise SettingsError(f"a cluster has only database 0, not {_db(options)}")
    return Target("cluster", tuple(nodes), _access(client, options))


def _of_sentinel(pool: Any, options: Mapping[str, Any]) -> Target:
    if not pool.is_master:
        raise SettingsError(
            "the client was made by slave_for, and a replica cannot be written; use master_for"
        )
    pools = [sentinel.connection_pool for sentinel in pool.sentinel_manager.sentinels]
    nodes = tuple(_address(one.connection_kwargs, SENTINEL_PORT)._replace(sentinel=True) for one in pools)
    return Target(
        "sentinel",
        nodes,
        _access(pool, options),
        _db(options),
        str(pool.service_name),
        _access(pools[0], pools[0].connection_kwargs) if pools else OPEN,
    )


def _address(options: Mapping[str, Any], port: int) -> Address:
    if path := options.get("path"):
        return Address("", 0, str(path))
    return Address(str(options.get("host") or "localhost"), int(options.get("port") or port))


def _db(options: Mapping[str, Any]) -> int:
    return int(options.get("db") or 0)


def _access(pool: Any, options: Mapping[str, Any]) -> Access:
    made = options.get("connection_class") or getattr(pool, "connection_class", None)
    is_tls = bool(options.get("ssl")) or any("SSL" in base.__name__ for base in getattr(made, "__mro__", ()))
    tls = {key: value for key, value in options.items() if key.startswith("ssl_") and value is not None}
    if "ssl_cert_reqs" in options and options["ssl_cert_reqs"] is None:
        tls["ssl_cert_reqs"] = "none"  # what None means to redis-py
    return Access(
        _text(options.get("username")),
        _text(options.get("password")),
        tls if is_tls else None,
        options.get("credential_provider"),
    )


def _text(secret: object) -> str | None:
    if isinstance(secret, bytes):
        return secret.decode()
    return None if secret is None else str(secret)
