"""`homing queues`: all queues and how many jobs are where."""

import click

from homing.cli.output import Cell, print_json, print_table
from homing.cli.server import json_option, reach, server_options

COLUMNS = ("waiting", "scheduled", "active", "dead", "workers")


@click.command("queues")
@server_options
@json_option
def command(url: str | None, folder: str | None, prefix: str | None, as_json: bool) -> None:
    """List all queues with their counts.

    Example: homing queues --json
    """
    import dataclasses

    with reach(url, folder, prefix) as server:
        engines = server.engines(server.queues())
        counts = server.run_all([engine.counts() for engine in engines.values()])
    if as_json:
        rows = zip(engines.items(), counts, strict=True)
        print_json([{"queue": n, "engine": e.name, **dataclasses.asdict(c)} for (n, e), c in rows])
        return
    table: list[list[Cell]] = []
    for (name, engine), count in zip(engines.items(), counts, strict=True):
        state = "paused" if count.paused else ""
        table.append([name, engine.name, *(getattr(count, column) for column in COLUMNS), state])
    print_table(("queue", "engine", *COLUMNS, "state"), table, empty="There are no queues yet.")
