"""`homing dead list|replay|purge`: the dead letters of a queue."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from homing.cli.output import print_json, print_table, when
from homing.cli.queue import confirm, delete
from homing.cli.records import error_of, json_record, pages, task_of
from homing.cli.server import Administration, json_option, reach, server_options
from homing.errors import JobNotFound

if TYPE_CHECKING:
    from homing.engines.engine import Engine

#: Jobs replayed in one round trip.
BATCH = 500


@click.group("dead")
def command() -> None:
    """List, replay or purge the dead letters of a queue.

    Example: homing dead list emails
    """


@command.command("list")
@click.argument("queue")
@click.option(
    "--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="At most so many."
)
@server_options
@json_option
def list_(
    queue: str, limit: int, url: str | None, folder: str | None, prefix: str | None, as_json: bool
) -> None:
    """List dead jobs with the error that ended them and their attempts.

    Example: homing dead list emails --limit 10
    """
    from homing.job import State

    with reach(url, folder, prefix) as server:
        jobs = pages(server, server.engine(queue), State.DEAD, limit)
    if as_json:
        print_json([json_record(job) for job in jobs])
        return
    rows = [(job.id, task_of(job), job.attempt, when(job.ended_ms), *error_of(job)) for job in jobs]
    headers = ("id", "task", "attempts", "died", "error", "message")
    print_table(headers, rows, empty=f"Queue {queue} has no dead jobs.")


@command.command()
@click.argument("queue")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--all", "everything", is_flag=True, help="All dead jobs of the queue.")
@server_options
def replay(
    queue: str,
    ids: tuple[str, ...],
    everything: bool,
    url: str | None,
    folder: str | None,
    prefix: str | None,
) -> None:
    """Give dead jobs back to their queue, as if they had never run.

    Example: homing dead replay emails --all
    """
    if bool(ids) == everything:
        raise click.UsageError("Name the jobs to replay, or say --all.")
    with reach(url, folder, prefix) as server:
        replayed = _replay_all(server, queue) if everything else _replay(server, queue, ids)
    click.echo(f"{replayed:,} jobs of queue {queue} are waiting again.")


@command.command()
@click.argument("queue")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@server_options
def purge(queue: str, yes: bool, url: str | None, folder: str | None, prefix: str | None) -> None:
    """Delete all dead jobs of a queue; it says how many and asks first.

    Example: homing dead purge emails --yes
    """
    with reach(url, folder, prefix) as server:
        number = server.client.run(server.engine(queue).counts()).dead
        confirm(f"Delete {number:,} dead jobs of queue {queue}?", yes=yes)
        deleted = delete(server, queue, ("dead",))
    click.echo(f"Deleted {deleted:,} dead jobs of queue {queue}.")


def _replay(server: Administration, queue: str, ids: Sequence[str]) -> int:
    replayed = _in_batches(server, server.engine(queue), ids)
    if missing := [job_id for job_id in ids if job_id not in replayed]:
        raise JobNotFound(
            f"{len(replayed)} of {len(ids)} jobs are waiting again; "
            f"queue {queue!r} has no dead job {', '.join(missing)}"
        )
    return len(replayed)


def _replay_all(server: Administration, queue: str) -> int:
    """Replay what is dead now; a job that dies again meanwhile is replayed only once."""
    from homing.job import State

    engine = server.engine(queue)
    number = server.client.run(engine.counts()).dead
    ids = [job.id for job in pages(server, engine, State.DEAD, number)] if number else []
    return len(_in_batches(server, engine, ids))


def _in_batches(server: Administration, engine: "Engine", ids: Sequence[str]) -> set[str]:
    """The ids that were dead."""
    batches = (ids[at : at + BATCH] for at in range(0, len(ids), BATCH))
    return {job_id for batch in batches for job_id in server.client.run(engine.replay(batch))}
