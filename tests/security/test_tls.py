"""TLS: a server is who it says it is, or nothing is sent to it."""

import contextlib
import logging
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from homing.errors import ServerError, ServerUnreachable
from tests.integration.client.conftest import Connect, connect
from tests.integration.client.links import listener, pair
from tests.integration.client.scripts import echo
from tests.servers import Server

__all__ = ["connect"]

PAPERS = Path(__file__).parent / "certificates"
CA = f"ssl_ca_certs={PAPERS / 'ca.pem'}"
#: What cannot be trusted must be said within this time.
SOON_S = 2.0


@contextmanager
def tls(
    server: Server, paper: str, *, newest: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED
) -> Iterator[int]:
    """A loopback port that speaks TLS with a certificate of this name, before the server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PAPERS / f"{paper}.pem", PAPERS / "key.pem")
    if newest is not ssl.TLSVersion.MAXIMUM_SUPPORTED:
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = newest

    def serve(client: socket.socket) -> None:
        with (
            contextlib.suppress(ssl.SSLError, OSError),
            context.wrap_socket(client, server_side=True) as safe,
        ):
            behind = socket.socket(socket.AF_UNIX)
            behind.connect(server.path)
            with behind:
                pair(safe, behind)

    with listener(serve) as port:
        yield port


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_server_with_the_right_papers_is_trusted(connect: Connect, valkey: Server, host: str) -> None:
    with tls(valkey, "trusted") as port:
        assert connect(f"rediss://{host}:{port}?{CA}").run(echo("x")) == b"x"


@pytest.mark.parametrize(
    ("paper", "options", "says"),
    [
        ("self-signed", "", "CERTIFICATE_VERIFY_FAILED"),
        ("self-signed", CA, "CERTIFICATE_VERIFY_FAILED"),
        ("trusted", "", "CERTIFICATE_VERIFY_FAILED"),
        ("expired", CA, "CERTIFICATE_VERIFY_FAILED"),
        ("elsewhere", CA, "CERTIFICATE_VERIFY_FAILED"),
    ],
)
def test_a_server_with_the_wrong_papers_is_refused_at_once(
    connect: Connect, valkey: Server, paper: str, options: str, says: str
) -> None:
    with tls(valkey, paper) as port:
        began = time.monotonic()
        with pytest.raises(
            ServerError, match=f"no TLS with 127.0.0.1:{port}: .*{says}.*see the ssl_ options"
        ) as refused:
            connect(f"rediss://:s3cret@127.0.0.1:{port}?{options}", deadline=30).run(echo("x"))
        assert time.monotonic() - began < SOON_S
        assert not isinstance(refused.value, ServerUnreachable)  # waiting would not mend it
        assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("paper", "options"),
    [
        ("elsewhere", f"{CA}&ssl_check_hostname=false"),
        ("self-signed", "ssl_cert_reqs=none"),
        ("expired", "ssl_cert_reqs=none"),
    ],
)
def test_checks_are_turned_off_by_name_alone_and_that_is_told(
    connect: Connect, valkey: Server, caplog: pytest.LogCaptureFixture, paper: str, options: str
) -> None:
    with tls(valkey, paper) as port, caplog.at_level(logging.WARNING, "homing"):
        assert connect(f"rediss://:@127.0.0.1:{port}?{options}").run(echo("x")) == b"x"
        connect(f"rediss://127.0.0.1:{port}?{CA}")
    told = [record.getMessage() for record in caplog.records]
    assert told == [f'tls_unchecked server=rediss://127.0.0.1:{port}/0 option="{options.rpartition("&")[2]}"']


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_tls_older_than_1_2_is_refused(connect: Connect, valkey: Server) -> None:
    with tls(valkey, "trusted", newest=ssl.TLSVersion.TLSv1_1) as port:
        lax = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        lax.load_verify_locations(PAPERS / "ca.pem")
        lax.set_ciphers("ALL:@SECLEVEL=0")
        lax.minimum_version = ssl.TLSVersion.TLSv1_1
        with (
            socket.create_connection(("127.0.0.1", port)) as plain,
            lax.wrap_socket(plain, server_hostname="localhost") as old,
        ):
            assert old.version() == "TLSv1.1"  # the server speaks it
        began = time.monotonic()
        with pytest.raises(ServerError, match=f"no TLS with 127.0.0.1:{port}"):
            connect(f"rediss://127.0.0.1:{port}?{CA}", deadline=30).run(echo("x"))
        assert time.monotonic() - began < SOON_S
