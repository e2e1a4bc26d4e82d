"""`homing check`: does the app import, and what is in it. No network."""

from typing import TYPE_CHECKING, Any

import click

from homing.cli.app import load
from homing.cli.output import print_json, print_table
from homing.cli.server import json_option

if TYPE_CHECKING:
    from homing.retries import Policy
    from homing.task import Task


@click.command("check")
@click.argument("app", required=False, metavar="[MODULE:ATTR]")
@json_option
def command(app: str | None, as_json: bool) -> None:
    """Import the app and list its tasks; speaks to no server.

    Example: homing check tasks:app
    """
    tasks = [_described(task) for task in load(app).tasks.values()]
    if as_json:
        print_json(tasks)
        return
    rows = [(one["task"], one["queue"], one["kind"], one["timeout_s"], one["retry"]) for one in tasks]
    print_table(("task", "queue", "runs as", "timeout", "retry"), rows, empty="The app has no tasks yet.")


def _described(task: "Task[Any, Any]") -> dict[str, Any]:
    return {
        "task": task.name,
        "queue": task.queue,
        "kind": task.kind,
        "timeout_s": task.timeout_s,
        "retry": _policy(task.retry),
        "messages": task.messages,
    }


def _policy(policy: "Policy") -> str:
    """A policy as it is written in code, a function by its name."""
    from homing.retries import Asking, Never

    match policy:
        case Never():
            return ""
        case Asking(function):
            return getattr(function, "__name__", repr(function))
        case _:
            return repr(policy)
