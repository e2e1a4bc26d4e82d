"""`homing queue pause|resume|purge`: one queue."""

import sys

import click

from homing.cli.server import Administration, reach, server_options

#: What `purge` deletes unless told: what has not run yet. Dead jobs go by `homing dead purge`.
UNSTARTED = ("waiting", "scheduled")


@click.group("queue")
def command() -> None:
    """Pause, resume or purge one queue.

    Example: homing queue pause emails
    """


@command.command()
@click.argument("queue")
@server_options
def pause(queue: str, url: str | None, folder: str | None, prefix: str | None) -> None:
    """Let workers start no further job of a queue; those that run go on, and new ones still wait.

    Example: homing queue pause emails
    """
    with reach(url, folder, prefix) as server:
        server.client.run(server.engine(queue).pause())
    click.echo(f"Paused {queue}. Go on with: homing queue resume {queue}")


@command.command()
@click.argument("queue")
@server_options
def resume(queue: str, url: str | None, folder: str | None, prefix: str | None) -> None:
    """Let workers start jobs of a paused queue again.

    Example: homing queue resume emails
    """
    with reach(url, folder, prefix) as server:
        server.client.run(server.engine(queue).resume())
    click.echo(f"Resumed {queue}.")


@command.command()
@click.argument("queue")
@click.option(
    "--state",
    "states",
    type=click.Choice(UNSTARTED),
    multiple=True,
    help="Only these jobs (default: waiting and scheduled).",
)
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@server_options
def purge(
    queue: str, states: tuple[str, ...], yes: bool, url: str | None, folder: str | None, prefix: str | None
) -> None:
    """Delete all jobs of a queue that have not started; it says how many and asks first.

    Example: homing queue purge emails --state scheduled --yes
    """
    chosen = states or UNSTARTED
    with reach(url, folder, prefix) as server:
        counts = server.client.run(server.engine(queue).counts())
        number = sum(getattr(counts, state) for state in chosen)
        confirm(f"Delete {number:,} {' and '.join(chosen)} jobs of queue {queue}?", yes=yes)
        deleted = delete(server, queue, chosen)
    click.echo(f"Deleted {deleted:,} jobs of queue {queue}.")


def confirm(question: str, *, yes: bool) -> None:
    """Go on when the user agrees; a usage error where nobody can be asked."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"{question} Nobody can be asked here: say --yes.")
    click.confirm(question, abort=True, err=True)


def delete(server: Administration, queue: str, states: tuple[str, ...]) -> int:
    """Purge the queue's jobs in these states, batch after batch; returns how many there were."""
    from homing.job import State

    engine, deleted = server.engine(queue), 0
    for state in states:
        while number := server.client.run(engine.purge(State(state))):
            deleted += number
    return deleted
