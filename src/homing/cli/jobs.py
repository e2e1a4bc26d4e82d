"""`homing jobs`: the jobs of a queue in one state."""

import click

from homing.cli.output import print_json, print_table, when
from homing.cli.records import json_record, kept_whole, pages, payload_of, task_of
from homing.cli.server import json_option, reach, server_options

STATES = ("waiting", "scheduled", "active", "dead", "completed", "cancelled")


@click.command("jobs")
@click.argument("queue")
@click.option("--state", type=click.Choice(STATES), default="waiting", show_default=True, help="Which jobs.")
@click.option(
    "--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="At most so many."
)
@server_options
@json_option
def command(
    queue: str, state: str, limit: int, url: str | None, folder: str | None, prefix: str | None, as_json: bool
) -> None:
    """List a queue's jobs in one state, the next one first.

    Example: homing jobs emails --state scheduled --limit 10
    """
    from homing.job import State

    with reach(url, folder, prefix) as server:
        jobs = pages(server, server.engine(queue), State(state), limit)
    if as_json:
        print_json([json_record(job) for job in jobs])
        return
    time = {"scheduled": "due", "completed": "ended", "cancelled": "ended", "dead": "ended"}.get(
        state, "created"
    )
    rows = [
        (
            job.id,
            task_of(job),
            job.attempt if kept_whole(job) else None,
            job.priority if kept_whole(job) else None,
            when(getattr(job, f"{time}_ms")),
            payload_of(job),
        )
        for job in jobs
    ]
    headers = ("id", "task", "attempts", "priority", time, "payload")
    print_table(headers, rows, empty=f"No job of queue {queue} is {state}.")
