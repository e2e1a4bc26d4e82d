"""Where the server is, read strictly from a URL or a client object. Imports no client library."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from homing.errors import SettingsError

Kind = Literal["single", "sentinel", "cluster"]
#: What a TLS connection is made with: redis-py's `ssl_…` options.
Tls = Mapping[str, object]

PORT, SENTINEL_PORT = 6379, 26379

_SCHEMES: Mapping[str, tuple[Kind, bool]] = {
    "redis": ("single", False),
    "rediss": ("single", True),
    "valkey": ("single", False),
    "valkeys": ("single", True),
    "unix": ("single", False),
    "redis+sentinel": ("sentinel", False),
    "rediss+sentinel": ("sentinel", True),
    "redis+cluster": ("cluster", False),
    "rediss+cluster": ("cluster", True),
}
_SHOWN_SCHEMES = "redis://, rediss://, unix://, redis+sentinel:// and redis+cluster://"
_TLS_OPTIONS = (
    "ssl_cert_reqs",
    "ssl_ca_certs",
    "ssl_ca_path",
    "ssl_certfile",
    "ssl_keyfile",
    "ssl_check_hostname",
)
_CERT_REQS = ("required", "optional", "none")
_HOST = re.compile(r"[A-Za-z0-9_.-]{1,253}|[0-9A-Fa-f:.]+(?:%[A-Za-z0-9_.-]+)?")
_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class Address(NamedTuple):
    """One server or sentinel: a host and port, or the path of a unix socket."""

    host: str
    port: int = PORT
    path: str = ""
    sentinel: bool = False

    def __str__(self) -> str:
        if self.path:
            return self.path
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, repr=False)
class Access:
    """How one is let in. Its repr says nothing of the password."""

    username: str | None = None
    password: str | None = None
    #: None: not TLS.
    tls: Tls | None = None
    #: A credential provider of redis-py, in place of user and password.
    provider: object | None = None

    def credentials(self) -> tuple[str, ...]:
        """What AUTH is sent with; empty: nothing."""
        if self.password is None:
            return ()
        return (self.username, self.password) if self.username else (self.password,)

    def __repr__(self) -> str:
        return f"Access({self})"

    def __str__(self) -> str:
        secret = ":***" if self.password else ""
        return f"{self.username or ''}{secret}@" if self.username or secret else ""


OPEN = Access()


@dataclass(frozen=True, slots=True, repr=False)
class Target:
    """Where to connect and how. `str()` is a URL with its password masked."""

    kind: Kind
    #: The server; or the sentinels; or the nodes a cluster is found by.
    nodes: tuple[Address, ...]
    access: Access = OPEN
    db: int = 0
    #: Only of a Sentinel: the name of the service, and how the sentinels let one in.
    service: str = ""
    sentinel_access: Access = OPEN
    #: Of the embedded server: blocks until it runs again. Called when a connection cannot be made.
    revive: Callable[[], None] | None = field(default=None, compare=False)

    @staticmethod
    def parse(where: object) -> "Target":
        """Read a URL, or take the address from a redis-py or valkey-py client object.

        Raises SettingsError naming what is wrong with it, TypeError for anything else. The
        client object is only read: homing makes connections of its own.
        """
        if isinstance(where, Target):
            return where
        if isinstance(where, str):
            return _from_url(where)
        from homing.adopt import target_of

        return target_of(where)

    def __repr__(self) -> str:
        return f"Target({str(self)!r})"

    def __str__(self) -> str:
        s = "s" if self.access.tls is not None else ""
        if self.nodes[0].path:
            db = f"?db={self.db}" if self.db else ""
            return f"unix://{self.access}{self.nodes[0]}{db}"
        hosts = ",".join(map(str, self.nodes))
        match self.kind:
            case "sentinel":
                return f"redis{s}+sentinel://{self.access}{hosts}/{self.service}/{self.db}"
            case "cluster":
                return f"redis{s}+cluster://{self.access}{hosts}"
        return f"redis{s}://{self.access}{hosts}/{self.db}"

    @property
    def unchecked(self) -> str:
        """The option that turns a check of TLS off, when one does: anybody on the way may be the server then."""
        for tls in (self.access.tls or {}, self.sentinel_access.tls or {}):
            if tls.get("ssl_cert_reqs") in {"none", 0}:
                return "ssl_cert_reqs=none"
            if tls.get("ssl_check_hostname") is False:
                return "ssl_check_hostname=false"
        return ""

    def access_to(self, address: Address) -> Access:
        return self.sentinel_access if address.sentinel else self.access


def masked(url: str) -> str:
    """A URL for a message: whatever may be a password is left out."""
    scheme, slashes, rest = url.partition("://")
    if not slashes or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]{0,30}", scheme):
        return "the server's URL"
    rest = re.sub(r"(password=)[^&]*", r"\1***", rest)
    before, at, behind = rest.rpartition("@")
    if at:
        user = before.partition(":")[0]
        shown = user if re.fullmatch(r"[A-Za-z0-9_.-]{0,64}", user) and ":" in before else ""
        return f"the URL {scheme}://{shown}:***@{behind[:100]}"
    # Without an @ a text behind a colon may be a password that lost its host.
    hosts = re.split(r"[/?]", rest, maxsplit=1)[0]
    plain = re.fullmatch(r"(?:(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?,?)*", hosts)
    return f"the URL {scheme}://{rest[:100]}" if plain else f"the URL {scheme}://…"


def _refuse(url: str, why: str) -> SettingsError:
    return SettingsError(f"{masked(url)}: {why}")


def _from_url(url: str) -> Target:
    url = url.strip()
    scheme = url.partition("://")[0].lower() if "://" in url else ""
    if scheme not in _SCHEMES:
        shown = f"scheme {scheme!r}" if re.fullmatch(r"[a-z][a-z0-9+.-]{0,30}", scheme) else "text"
        raise _refuse(url, f"the {shown} is not a server's URL; homing knows {_SHOWN_SCHEMES}")
    kind, tls = _SCHEMES[scheme]
    if bad := re.search(r"[\x00-\x20\x7f#]", url):
        written = f"%{ord(bad[0]):02X}"
        raise _refuse(url, f"it holds the character {bad[0]!r}; inside a password write {written}")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        # Its own words may hold the whole address, password and all.
        hint = (
            "an IPv6 address stands in brackets, redis://[::1]:6379"
            if "IPv6" in str(error)
            else "it is no URL"
        )
        raise _refuse(url, hint) from None
    if "@" in parts.path + parts.query and "@" not in parts.netloc:
        raise _refuse(url, "a / or ? inside the user or password is written %2F or %3F")
    userinfo, _, hosts = parts.netloc.rpartition("@")
    username, password = _userinfo(url, userinfo)
    options = _options(url, parts, tls=tls)
    access = Access(username, password, _tls(url, options) if tls else None)
    if scheme == "unix":
        if hosts:
            raise _refuse(url, "a socket's path is absolute: unix:///run/redis.sock")
        if parts.path in {"", "/"}:
            raise _refuse(url, "it names no socket: unix:///run/redis.sock")
        address = Address("", 0, unquote(parts.path))
        return Target("single", (address,), access, _db(url, "", options))
    nodes = _nodes(url, hosts, sentinel=kind == "sentinel")
    return _of_kind(url, kind, nodes, access, [unquote(word) for word in parts.path.split("/")[1:]], options)


def _of_kind(
    url: str,
    kind: Kind,
    nodes: tuple[Address, ...],
    access: Access,
    words: list[str],
    options: dict[str, str],
) -> Target:
    service = ""
    if kind == "sentinel":
        service = words.pop(0) if words else ""
        if not service:
            raise _refuse(url, "it names no service: redis+sentinel://host:26379/service/0")
    elif kind == "single" and len(nodes) > 1:
        raise _refuse(url, "it names several hosts; use redis+sentinel:// or redis+cluster://")
    if len(words) > 1 and words[1:] != [""]:
        raise _refuse(url, "after the database's number nothing may follow")
    db = _db(url, words[0] if words else "", options)
    if kind == "cluster" and db:
        raise _refuse(url, f"a cluster has only database 0, not {db}")
    secrets = Access(options.get("sentinel_username"), options.get("sentinel_password"), access.tls)
    return Target(kind, nodes, access, db, service, secrets if kind == "sentinel" else OPEN)


def _userinfo(url: str, userinfo: str) -> tuple[str | None, str | None]:
    if "@" in userinfo:
        raise _refuse(url, "an @ inside the user or password is written %40")
    user, colon, password = userinfo.partition(":")
    if user and not colon:
        raise _refuse(url, "a user needs a password; a password without a user is redis://:password@host")
    return unquote(user) or None, unquote(password) or None


def _nodes(url: str, hosts: str, *, sentinel: bool) -> tuple[Address, ...]:
    port = SENTINEL_PORT if sentinel else PORT
    nodes = tuple(_node(url, text, port, sentinel=sentinel) for text in hosts.split(","))
    if len(set(nodes)) < len(nodes):
        raise _refuse(url, "it names the same host twice")
    return nodes


def _node(url: str, text: str, port: int, *, sentinel: bool) -> Address:
    found = re.fullmatch(r"(?:\[([^\]]+)\]|([^:\[\]]*))(?::(.*))?", text)
    if found is None or (text.count(":") > 1 and not found[1]):
        raise _refuse(url, "a host is name:port, and an IPv6 address stands in brackets, [::1]:6379")
    host = found[1] or found[2] or ""
    if not host:
        raise _refuse(url, "it names no host")
    if not _HOST.fullmatch(host):
        raise _refuse(url, "its host holds characters that no host's name has")
    if found[3] is not None:
        # The text is not shown: it is often a password that lost its @host.
        if not _NUMBER.fullmatch(found[3]) or not 1 <= int(found[3]) <= 65_535:
            raise _refuse(url, "its port is not a number from 1 to 65535")
        port = int(found[3])
    return Address(host, port, sentinel=sentinel)


def _db(url: str, text: str, options: dict[str, str]) -> int:
    asked = options.get("db")
    if text and asked is not None and text != asked:
        raise _refuse(url, f"it names two databases, {text[:20]!r} and {asked[:20]!r}")
    number = text or asked or "0"
    if not _NUMBER.fullmatch(number):
        raise _refuse(url, f"its database is a number, not {number[:50]!r}")
    return int(number)


def _options(url: str, parts: SplitResult, *, tls: bool) -> dict[str, str]:
    known: tuple[str, ...] = ("db",)
    if "sentinel" in parts.scheme:
        known += ("sentinel_username", "sentinel_password")
    if tls:
        known += _TLS_OPTIONS
    options: dict[str, str] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name not in known:
            wants_tls = name.startswith("ssl_") and not tls
            hint = "it needs rediss://" if wants_tls else f"homing knows {', '.join(known)}"
            raise _refuse(url, f"unknown option {name[:50]!r}; {hint}")
        if name in options:
            raise _refuse(url, f"it gives the option {name!r} twice")
        if not value:
            raise _refuse(url, f"its option {name!r} is empty")
        options[name] = value
    return options


def _tls(url: str, options: dict[str, str]) -> Tls:
    tls: dict[str, object] = {name: value for name, value in options.items() if name in _TLS_OPTIONS}
    if (checks := options.get("ssl_cert_reqs")) is not None:
        tls["ssl_cert_reqs"] = word = checks.lower().removeprefix("cert_")
        if word not in _CERT_REQS:
            raise _refuse(url, f"ssl_cert_reqs is {', '.join(_CERT_REQS)}, not {checks[:50]!r}")
    if (name_too := options.get("ssl_check_hostname")) is not None:
        if name_too.lower() not in _TRUTH:
            raise _refuse(url, f"ssl_check_hostname is true or false, not {name_too[:50]!r}")
        tls["ssl_check_hostname"] = _TRUTH[name_too.lower()]
    return tls
