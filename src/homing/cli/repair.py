"""`homing repair`: mend what `homing verify` finds."""

import click

from homing.cli.exits import DONE, FAILED
from homing.cli.output import escape, print_json
from homing.cli.server import json_option, reach, server_options


@click.command("repair")
@click.argument("queue")
@click.option("--dry-run", "dry", is_flag=True, help="Only say what would be done.")
@server_options
@json_option
def command(
    queue: str, dry: bool, url: str | None, folder: str | None, prefix: str | None, as_json: bool
) -> int:
    """Mend what `homing verify` finds in a queue, which may be live. No job that has a body is deleted.

    A job in no place goes back to where it says it is, one in two places keeps one, what a worker that
    is gone still held goes back to the queue, and what belongs to no job is dropped. Exit code 1 when
    something is left.

    Example: homing repair emails --dry-run
    """
    from homing import audit
    from homing.steps import drive

    with reach(url, folder, prefix) as server:
        done = drive(server.client, audit.repair(server.engine(queue), dry=dry))
    if as_json:
        print_json({"queue": queue, "dry_run": dry, "mended": done.mended, "left": done.left})
    else:
        for what, sentences in (("would mend" if dry else "mended", done.mended), ("left", done.left)):
            for sentence in sentences:
                click.echo(f"{what}: {escape(sentence)}")
        if not done.mended and not done.left:
            click.echo(f"{queue}: nothing is wrong.")
    return FAILED if done.left else DONE
