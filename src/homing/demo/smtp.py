"""A real SMTP server on loopback, as moody as the ones out there.

    python -m homing.demo.smtp --port 8025 --account accepted.jsonl

Mail to anybody at `busy.example` is answered 451 (try again later) twice before it is accepted,
mail to `gone.example` is answered 550 (no such mailbox) for good. Every answer is written to the account.
"""

import argparse
import asyncio
import contextlib
import signal
import sys
from collections import Counter
from email import message_from_bytes
from pathlib import Path
from typing import Any

from homing.demo.account import ACCEPTED, DEFERRED, REFUSED, Ledger

BUSY, GONE = "busy.example", "gone.example"
#: How often a mail to a busy address is answered 451 before it is accepted.
DEFERRALS = 2


class Postmaster:
    """Decides on each mail; aiosmtpd calls it (the names of its methods are aiosmtpd's)."""

    def __init__(self, ledger: Ledger, *, pause_s: float = 0.0) -> None:
        self._ledger = ledger
        self._pause_s = pause_s  # what a busy server on the other side of a network would take
        self._deferred: Counter[tuple[str, str]] = Counter()

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if address.endswith(f"@{GONE}"):
            self._ledger.write(REFUSED, address)
            return f"550 5.1.1 {address}: no such mailbox here"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        message_id = str(message_from_bytes(envelope.content)["Message-ID"])
        recipient = envelope.rcpt_tos[0]
        await asyncio.sleep(self._pause_s)
        if recipient.endswith(f"@{BUSY}") and self._deferred[recipient, message_id] < DEFERRALS:
            self._deferred[recipient, message_id] += 1
            self._ledger.write(DEFERRED, recipient, message_id)
            return "451 4.2.1 mailbox busy, try again later"
        self._ledger.write(ACCEPTED, recipient, message_id)
        return "250 2.0.0 accepted"


async def serve(port: int, ledger: Ledger, *, pause_s: float, leash: bool) -> None:
    """Serve until SIGTERM or SIGINT, or, on a leash, until stdin ends; prints the address when ready."""
    from aiosmtpd.smtp import SMTP

    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if leash:
        loop.add_reader(sys.stdin.fileno(), stop.set)
    postmaster = Postmaster(ledger, pause_s=pause_s)
    server = await loop.create_server(
        lambda: SMTP(postmaster, enable_SMTPUTF8=True, hostname="smtp.homing.example", loop=loop),
        "127.0.0.1",
        port,
    )
    print(f"SMTP server on 127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await stop.wait()
    server.close()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m homing.demo.smtp", description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=8025, help="port on 127.0.0.1; 0 takes a free one (8025)")
    parser.add_argument(
        "--account", type=Path, default=Path("accepted.jsonl"), help="file to write answers to"
    )
    parser.add_argument("--pause", type=float, default=0.0, help="seconds before each answer to a mail (0)")
    parser.add_argument("--leash", action="store_true", help="stop when stdin ends")
    options = parser.parse_args()
    try:
        import aiosmtpd.smtp  # noqa: F401
    except ImportError:
        print('The SMTP server needs aiosmtpd: pip install "homing[demo]"', file=sys.stderr)
        return 1
    ledger = Ledger(options.account)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(serve(options.port, ledger, pause_s=options.pause, leash=options.leash))
    except OSError as error:
        print(f"The SMTP server cannot listen on port {options.port}: {error}", file=sys.stderr)
        return 1
    finally:
        ledger.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
