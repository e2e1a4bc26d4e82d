"""`homing verify`: prove that every job is in exactly one place."""

from typing import TYPE_CHECKING

import click

from homing.cli.exits import DONE, FAILED
from homing.cli.output import escape, print_json, print_table
from homing.cli.server import Administration, json_option, reach, server_options
from homing.errors import QueueError

if TYPE_CHECKING:
    from homing.engines.engine import Engine


@click.command("verify")
@click.argument("queues", nargs=-1, metavar="[QUEUE]...")
@click.option(
    "--rate",
    type=float,
    help="Look at no more than so many jobs a second (default: as fast as it goes).",
)
@click.option("--payloads", is_flag=True, help="Compare each payload with its checksum, too.")
@server_options
@json_option
def command(
    queues: tuple[str, ...],
    rate: float | None,
    payloads: bool,
    url: str | None,
    folder: str | None,
    prefix: str | None,
    as_json: bool,
) -> int:
    """Prove that every job of a queue, or of all queues, is in exactly one place.

    Works on live queues and changes nothing: a problem is looked at a second time before it is told.
    Exit code 1 when something is wrong; `homing repair QUEUE` mends it.

    Example: homing verify emails --rate 1000
    """
    with reach(url, folder, prefix) as server:
        if queues:
            engines = {name: server.engine(name) for name in dict.fromkeys(queues)}
        else:
            engines = server.engines(server.queues())
        found = {name: _problems(server, engine, rate, payloads) for name, engine in engines.items()}
    if as_json:
        print_json([{"queue": name, "problems": problems} for name, problems in found.items()])
    else:
        rows = [(name, problem) for name, problems in found.items() for problem in problems]
        count = f"{len(found)} queue{'' if len(found) == 1 else 's'}"
        print_table(("queue", "problem"), rows, empty=f"{count}, nothing is wrong.", columns=500)
        for name, problems in found.items():
            if problems:
                click.echo(f"Mend it with: homing repair {escape(name)}")
    return FAILED if any(found.values()) else DONE


def _problems(server: Administration, engine: "Engine", rate: float | None, payloads: bool) -> list[str]:
    """What is wrong with one queue; one that cannot be read must not hide the others."""
    from homing import audit
    from homing.steps import drive

    try:
        found = drive(server.client, audit.verify(engine, rate=rate, payloads=payloads))
    except QueueError as error:
        return [str(error)]
    return [problem.says for problem in found]
