"""`homing enqueue`: one job of a task, from the shell."""

import difflib
import json
import sys
from typing import TYPE_CHECKING, Any

import click

from homing.cli.app import app_option, load
from homing.cli.output import print_json

#: Those of homing.limits, which is not imported for a help text.
DURABILITIES = ("memory", "replicated", "fsynced")

if TYPE_CHECKING:
    from homing.app import App
    from homing.limits import Durability
    from homing.task import Task


@click.command("enqueue")
@click.argument("task")
@click.argument("arguments", nargs=-1, metavar="[NAME=TEXT | NAME:=JSON | -]...")
@app_option
@click.option("--delay", type=float, help="Seconds until it may start.")
@click.option("--priority", type=int, help="-100 to 100; higher starts first (default: 0).")
@click.option("--id", "job_id", help="An id of your own; refused while it is taken.")
@click.option(
    "--durability",
    type=click.Choice(DURABILITIES),
    help="How sure it must be before this counts as done (default: the queue's, or the app's).",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    task: str,
    arguments: tuple[str, ...],
    app: str | None,
    delay: float | None,
    priority: int | None,
    job_id: str | None,
    durability: "Durability | None",
    as_json: bool,
) -> None:
    """Enqueue one job of a task.

    NAME=TEXT gives a string, NAME:=JSON any value; - reads a JSON object (by name) or array (in order)
    from stdin.

    Example: homing enqueue send_email recipient=ada@example.com subject=Hi body=Hello --delay 60
    """
    args, kwargs = parse(arguments)
    found = _find(load(app), task)
    try:
        bound = found.options(delay=delay, priority=priority, id=job_id, durability=durability)
        job = bound.enqueue(*args, **kwargs)
    except (TypeError, ValueError) as error:
        raise click.UsageError(str(error)) from error
    if as_json:
        print_json({"queue": found.queue, "id": job.id})
    else:
        click.echo(f"Enqueued {found.queue}/{job.id}")


def parse(arguments: tuple[str, ...]) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of a task as written on the command line; UsageError names the one that is wrong."""
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for argument in arguments:
        if argument == "-":
            value = _json(sys.stdin.read(), "stdin")
            if not isinstance(value, dict | list):
                raise click.UsageError("stdin must be a JSON object (by name) or array (in order).")
            if isinstance(value, list):
                args += value
            else:
                kwargs |= value
            continue
        name, equals, text = argument.partition("=")
        if not equals or not name.rstrip(":"):
            raise click.UsageError(f"{argument!r} is no argument: write NAME=TEXT, NAME:=JSON or -.")
        if name.endswith(":"):
            kwargs[name[:-1]] = _json(text, name[:-1])
        else:
            kwargs[name] = text
    return args, kwargs


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise click.UsageError(f"{where} is not JSON: {error}") from error


def _find(app: "App", name: str) -> "Task[Any, Any]":
    if name in app.tasks:
        return app.tasks[name]
    near = difflib.get_close_matches(name, app.tasks, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(app.tasks) or 'none'}"
    raise click.UsageError(f"The app has no task {name!r}: {hint}")
