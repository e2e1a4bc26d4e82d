"""`homing workers`: who works on which queue."""

from typing import Any

import click

from homing.cli.output import Cell, json_of, print_json, print_table
from homing.cli.server import json_option, reach, server_options


@click.command("workers")
@click.argument("queue", required=False)
@server_options
@json_option
def command(
    queue: str | None, url: str | None, folder: str | None, prefix: str | None, as_json: bool
) -> None:
    """List workers and how many jobs they hold.

    Example: homing workers emails
    """
    from msgspec.structs import asdict

    with reach(url, folder, prefix) as server:
        engines = {queue: server.engine(queue)} if queue else server.engines(server.queues())
        answers = server.run_all([engine.workers() for engine in engines.values()])
    found = [(name, one) for name, records in zip(engines, answers, strict=True) for one in records]
    if as_json:
        print_json([{"queue": n, **asdict(one), "info": json_of(one.info)} for n, one in found])
        return
    rows = [
        (name, one.id, _label(json_of(one.info)), one.holding, _lease(one.expires_in_ms))
        for name, one in found
    ]
    print_table(("queue", "worker", "process", "holds", "lease"), rows, empty="No worker is registered.")


def _label(info: Any) -> str:
    """What a worker said about itself when it registered: `name host:pid`, as far as it did."""
    if not isinstance(info, dict):
        return ""
    place = ":".join(str(info[key]) for key in ("host", "pid") if key in info)
    return " ".join(part for part in (str(info.get("name") or ""), place) if part)


def _lease(expires_in_ms: int) -> Cell:
    return f"{expires_in_ms / 1_000:.1f} s" if expires_in_ms > 0 else "lapsed"
