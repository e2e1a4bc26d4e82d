"""Where the server is: URLs read strictly, client objects read by their shape, passwords never shown."""

import subprocess
import sys
import traceback
from typing import Any

import pytest
import redis
import redis.asyncio
import redis.asyncio.cluster
import redis.asyncio.sentinel
import redis.sentinel
import valkey
import valkey.asyncio
import valkey.asyncio.cluster
import valkey.sentinel

from homing.dial import class_name, options
from homing.errors import SettingsError
from homing.target import Access, Address, Target


def _sentinel(host: str, port: int = 26379) -> Address:
    return Address(host, port, sentinel=True)


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("redis://h", Target("single", (Address("h", 6379),))),
        ("valkey://h:7/2", Target("single", (Address("h", 7),), db=2)),
        ("redis://h?db=3", Target("single", (Address("h"),), db=3)),
        ("  redis://h/0\n", Target("single", (Address("h"),))),
        ("redis://[::1]:7", Target("single", (Address("::1", 7),))),
        ("redis://:p%40%2Fq@h", Target("single", (Address("h"),), Access(None, "p@/q"))),
        ("redis://u:p@h", Target("single", (Address("h"),), Access("u", "p"))),
        ("rediss://h", Target("single", (Address("h"),), Access(tls={}))),
        ("valkeys://h", Target("single", (Address("h"),), Access(tls={}))),
        (
            "rediss://h?ssl_cert_reqs=CERT_NONE&ssl_check_hostname=no&ssl_ca_certs=/ca.pem",
            Target(
                "single",
                (Address("h"),),
                Access(tls={"ssl_cert_reqs": "none", "ssl_check_hostname": False, "ssl_ca_certs": "/ca.pem"}),
            ),
        ),
        ("unix:///run/r.sock", Target("single", (Address("", 0, "/run/r.sock"),))),
        (
            "unix://u:p@/run/a%20b.sock?db=4",
            Target("single", (Address("", 0, "/run/a b.sock"),), Access("u", "p"), 4),
        ),
        (
            "redis+sentinel://u:p@h1:1,h2/svc/5",
            Target(
                "sentinel",
                (_sentinel("h1", 1), _sentinel("h2")),
                Access("u", "p"),
                5,
                "svc",
            ),
        ),
        (
            "rediss+sentinel://h/svc?sentinel_username=su&sentinel_password=sp",
            Target("sentinel", (_sentinel("h"),), Access(tls={}), 0, "svc", Access("su", "sp", {})),
        ),
        ("redis+cluster://a:1,b/0", Target("cluster", (Address("a", 1), Address("b")))),
        ("rediss+cluster://a", Target("cluster", (Address("a"),), Access(tls={}))),
    ],
)
def test_a_url_says_where_the_server_is(url: str, wanted: Target) -> None:
    assert Target.parse(url) == wanted


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "is not a server's URL"),
        ("h:6379", "is not a server's URL"),
        ("http://h", "'http' is not a server's URL; homing knows redis://"),
        ("redis://h/abc", "its database is a number, not 'abc'"),
        ("redis://h/-1", "its database is a number"),
        ("redis://h/0/1", "nothing may follow"),
        ("redis://h/1?db=2", "two databases, '1' and '2'"),
        ("redis:///0", "it names no host"),
        ("redis://", "it names no host"),
        ("redis://:6379", "it names no host"),
        ("redis://h:abc", "its port is not a number"),
        ("redis://h:0", "its port is not a number from 1 to 65535"),
        ("redis://h:65536", "its port is not a number from 1 to 65535"),
        ("redis://::1", "IPv6 address stands in brackets"),
        ("redis://[::1", "IPv6 address stands in brackets"),
        ("redis://h!", "characters that no host's name has"),
        ("redis://a b", "it holds the character ' '"),
        ("redis://:p#q@h", "inside a password write %23"),
        ("redis://user@h", "a user needs a password"),
        ("redis://a,b", "several hosts; use redis+sentinel:// or redis+cluster://"),
        ("redis://h?socket_timeout=1", "unknown option 'socket_timeout'; homing knows db"),
        ("redis://h?ssl_ca_certs=x", "unknown option 'ssl_ca_certs'; it needs rediss://"),
        ("redis://h?db=", "its option 'db' is empty"),
        ("redis://h?db=1&db=1", "'db' twice"),
        ("rediss://h?ssl_cert_reqs=maybe", "ssl_cert_reqs is required, optional, none, not 'maybe'"),
        ("rediss://h?ssl_check_hostname=perhaps", "true or false, not 'perhaps'"),
        ("unix://", "it names no socket"),
        ("unix://run/r.sock", "a socket's path is absolute"),
        ("redis+sentinel://h", "it names no service"),
        ("redis+sentinel://h/svc/0/1", "nothing may follow"),
        ("redis+cluster://h/1", "a cluster has only database 0, not 1"),
        ("redis+cluster://h,h", "the same host twice"),
    ],
)
def test_a_url_that_is_wrong_is_refused_with_what_is_wrong(url: str, says: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Target.parse(url)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hunter2@h/abc",
        "redis://user:hunter2@h:x",
        "redis://:hunter2",
        "redis://user:hunter2/0",
        "redis://:hun/ter2@h",
        "redis://:hun?ter2@h",
        "redis://:hun@ter2@h",
        "redis://:hun#ter2@h",
        "redis://:hun ter2@h",
        "nonsense://user:hunter2@h",
        ":hunter2@h",
        "redis+sentinel://h/svc/x?sentinel_password=hunter2",
    ],
)
def test_a_password_is_in_no_refusal(url: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Target.parse(url)
    assert "hun" not in "".join(traceback.format_exception_only(refused.value))
    assert "ter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://u:p@h/1", "redis://u:***@h:6379/1"),
        ("rediss://:p@h", "rediss://:***@h:6379/0"),
        ("unix://:p@/r.sock?db=1", "unix://:***@/r.sock?db=1"),
        ("redis+sentinel://:p@a,b/svc/2", "redis+sentinel://:***@a:26379,b:26379/svc/2"),
        ("redis+cluster://u:p@a:1,b", "redis+cluster://u:***@a:1,b:6379"),
    ],
)
def test_a_target_shows_itself_with_its_password_masked(url: str, shown: str) -> None:
    target = Target.parse(url)
    assert (str(target), repr(target)) == (shown, f"Target({shown!r})")
    assert repr(target.access) == f"Access({target.access})"


Plain = [redis.Redis, redis.asyncio.Redis, valkey.Valkey, valkey.asyncio.Valkey]


@pytest.mark.parametrize("plain", Plain)
def test_a_plain_client_says_where_the_server_is(plain: Any) -> None:
    assert Target.parse(plain(host="h", port=1, db=2, username="u", password="p")) == Target(
        "single", (Address("h", 1),), Access("u", "p"), 2
    )
    assert Target.parse(plain(unix_socket_path="/r.sock", db=1)) == Target(
        "single", (Address("", 0, "/r.sock"),), db=1
    )


@pytest.mark.parametrize("plain", Plain)
def test_a_clients_tls_options_are_kept(plain: Any) -> None:
    target = Target.parse(plain(host="h", ssl=True, ssl_ca_certs="/ca", ssl_cert_reqs=None))
    assert target.access.tls is not None
    assert {"ssl_ca_certs": "/ca", "ssl_cert_reqs": "none"}.items() <= target.access.tls.items()
    assert class_name(target.nodes[0], target.access) == "SSLConnection"
    assert options(target.nodes[0], target.access, 1.0)["ssl_ca_certs"] == "/ca"


@pytest.mark.parametrize(
    ("url", "reqs", "name_too"),
    [
        ("rediss://h", "required", True),
        ("rediss://h?ssl_cert_reqs=none", "none", False),
        ("rediss://h?ssl_check_hostname=no", "required", False),
    ],
)
def test_tls_is_checked_unless_told_not_to(url: str, reqs: str, name_too: bool) -> None:
    target = Target.parse(url)
    made = options(target.nodes[0], target.access, 1.0)
    assert (made["ssl_cert_reqs"], made["ssl_check_hostname"]) == (reqs, name_too)


@pytest.mark.parametrize("plain", Plain)
def test_a_clients_pool_will_do(plain: Any) -> None:
    assert Target.parse(plain(host="h").connection_pool) == Target("single", (Address("h"),))


@pytest.mark.parametrize(
    "sentinel",
    [redis.sentinel.Sentinel, redis.asyncio.sentinel.Sentinel, valkey.sentinel.Sentinel],
)
def test_a_client_made_by_a_sentinel_says_who_to_ask(sentinel: Any) -> None:
    made = sentinel([("a", 1), ("b", 2)], password="p", sentinel_kwargs={"password": "sp"})
    wanted = Target(
        "sentinel",
        (_sentinel("a", 1), _sentinel("b", 2)),
        Access(None, "p"),
        3,
        "svc",
        Access(None, "sp"),
    )
    assert Target.parse(made.master_for("svc", db=3)) == wanted
    with pytest.raises(SettingsError, match="use master_for"):
        Target.parse(made.slave_for("svc"))


@pytest.mark.parametrize(
    ("cluster", "node"),
    [
        (redis.asyncio.cluster.RedisCluster, redis.asyncio.cluster.ClusterNode),
        (valkey.asyncio.cluster.ValkeyCluster, valkey.asyncio.cluster.ClusterNode),
    ],
)
def test_a_cluster_client_says_its_nodes(cluster: Any, node: Any) -> None:
    made = cluster(startup_nodes=[node("a", 1), node("b", 2)], password="p", ssl=True)
    target = Target.parse(made)
    assert (target.kind, target.nodes) == ("cluster", (Address("a", 1), Address("b", 2)))
    assert target.access.password == "p"
    assert target.access.tls is not None


@pytest.mark.parametrize("where", [None, 5, b"redis://h", object()])
def test_what_is_no_server_at_all_is_a_type_error(where: object) -> None:
    with pytest.raises(TypeError, match="a URL or as a redis-py or valkey-py client"):
        Target.parse(where)


def test_a_target_is_taken_as_it_is() -> None:
    target = Target.parse("redis://h")
    assert Target.parse(target) is target


def test_reading_a_target_imports_no_client_library() -> None:
    code = "import sys, homing.target as t; t.Target.parse('redis://h'); print('redis' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "False\n"
