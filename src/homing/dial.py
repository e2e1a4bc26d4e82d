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
    tls: Mapping[str, object] = {} if access.tls is None or address.path else access.tls
    return {
        **where,
        # Asked-for stapling checks are passed on; those that are off exist in the sync class alone.
        **{key: value for key, value in tls.items() if value or "ocsp" not in key},
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "protocol": 2,
        "redis_connect_func": _say_nothing,
    }


def _say_nothing(connection: object) -> None:
    """In place of redis-py's handshake: homing reads the answers to its own greeting as they are."""
