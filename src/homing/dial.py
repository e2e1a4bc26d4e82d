"""What a connection of redis-py is made with, the same for both clients."""

from collections.abc import Mapping

from homing.target import Access, Address

#: Names of redis-py's connection classes.
PLAIN, TLS, UNIX = "Connection", "SSLConnection", "UnixDomainSocketConnection"


def class_name(address: Address, access: Access) -> str:
    if address.path:
        return UNIX
    return PLAIN if access.tls is None else TLS


def options(address: Address, access: Access, timeout_s: float) -> dict[str, object]:
    """Keyword arguments of the connection. Users, databases and retries are ours, not redis-py's."""
    where: Mapping[str, object] = (
        {"path": address.path} if address.path else {"host": address.host, "port": address.port}
    )
    tls = {} if access.tls is None or address.path else _checked(access.tls)
    return {
        **where,
        # Asked-for stapling checks are passed on; those that are off exist in the sync class alone.
        **{key: value for key, value in tls.items() if value or "ocsp" not in key},
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "protocol": 2,
        "redis_connect_func": _say_nothing,
    }


def _checked(tls: Mapping[str, object]) -> dict[str, object]:
    """Certificate and host name are checked unless told not to; not all of redis-py's versions do."""
    unchecked = tls.get("ssl_cert_reqs") in {"none", 0}
    checks: dict[str, object] = {"ssl_cert_reqs": "required", "ssl_check_hostname": True}
    return checks | dict(tls) | ({"ssl_check_hostname": False} if unchecked else {})


def _say_nothing(connection: object) -> None:
    """In place of redis-py's handshake: homing reads the answers to its own greeting as they are."""
