"""`homing queues`: all queues and how many jobs are where."""

from typing import TYPE_CHECKING

import click

from homing.cli.output import Cell, print_json, print_table
from homing.cli.server import json_option, reach, server_options
from homing.errors import HomingError

if TYPE_CHECKING:
    from homing.job import Counts

COLUMNS = ("waiting", "scheduled", "active", "dead", "workers")


@click.command("queues")
@server_options
@json_option
def command(url: str | None, folder: str | None, prefix: str | None, as_json: bool) -> None:
    """List all queues with their counts.

    Example: homing queues --json
    """
    with reach(url, folder, prefix) as server:
        engines = server.engines(server.queues())
        answers = server.client.run_many([engine.counts() for engine in engines.values()]) if engines else []
    found = list(zip(engines.items(), answers, strict=True))
    if as_json:
        print_json(
            [{"queue": name, "engine": engine.name, **_fields(answer)} for (name, engine), answer in found]
        )
        return
    rows = [(name, engine.name, *_cells(answer)) for (name, engine), answer in found]
    print_table(("queue", "engine", *COLUMNS, "state"), rows, empty="There are no queues yet.", columns=200)


def _fields(answer: "Counts | HomingError") -> dict[str, object]:
    from msgspec.structs import asdict

    if isinstance(answer, HomingError):
        return {"error": str(answer)}
    return asdict(answer)


def _cells(answer: "Counts | HomingError") -> list[Cell]:
    """The counts; of a queue that cannot be looked at the reason, so that the others are still seen."""
    if isinstance(answer, HomingError):
        return [*(None for _ in COLUMNS), str(answer)]
    return [*(getattr(answer, column) for column in COLUMNS), "paused" if answer.paused else ""]
