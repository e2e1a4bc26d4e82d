"""`homing job show|cancel|retry|remove`: one job, by its address QUEUE/ID."""

import click

from homing.cli.output import print_json, print_record
from homing.cli.records import in_full, json_record, not_found, parse_address
from homing.cli.server import json_option, reach, server_options
from homing.errors import JobError


@click.group("job")
def command() -> None:
    """Show, cancel, retry or remove one job.

    Example: homing job show emails/welcome-42
    """


@command.command()
@click.argument("address", metavar="QUEUE/ID")
@server_options
@json_option
def show(address: str, url: str | None, folder: str | None, prefix: str | None, as_json: bool) -> None:
    """Show all that is stored of a job, in whatever state it is.

    Example: homing job show emails/welcome-42 --json
    """
    queue, job_id = parse_address(address)
    with reach(url, folder, prefix) as server:
        job = server.client.run(server.engine(queue).job(job_id))
    if job is None:
        raise not_found(queue, job_id)
    if as_json:
        print_json(json_record(job))
    else:
        print_record(in_full(job))


@command.command()
@click.argument("address", metavar="QUEUE/ID")
@server_options
def cancel(address: str, url: str | None, folder: str | None, prefix: str | None) -> None:
    """End a waiting or scheduled job as cancelled.

    Example: homing job cancel emails/welcome-42
    """
    queue, job_id = parse_address(address)
    with reach(url, folder, prefix) as server:
        state = server.client.run(server.engine(queue).cancel(job_id))
    if state is None:
        raise not_found(queue, job_id)
    if state not in ("waiting", "scheduled"):
        raise JobError(f"job {address} is {state}: only waiting and scheduled jobs can be cancelled")
    click.echo(f"Cancelled {address}, which was {state}.")


@command.command()
@click.argument("address", metavar="QUEUE/ID")
@server_options
def retry(address: str, url: str | None, folder: str | None, prefix: str | None) -> None:
    """Give a dead job back to its queue, as if it had never run.

    Example: homing job retry emails/welcome-42
    """
    queue, job_id = parse_address(address)
    with reach(url, folder, prefix) as server:
        engine = server.engine(queue)
        if not server.client.run(engine.replay([job_id])):
            job = server.client.run(engine.job(job_id))
            if job is None:
                raise not_found(queue, job_id)
            raise JobError(f"job {address} is {job.state}: only dead jobs can be retried by hand")
    click.echo(f"{address} is waiting again.")


@command.command()
@click.argument("address", metavar="QUEUE/ID")
@server_options
def remove(address: str, url: str | None, folder: str | None, prefix: str | None) -> None:
    """Delete a job that is not running, with all traces of it.

    Example: homing job remove emails/welcome-42
    """
    queue, job_id = parse_address(address)
    with reach(url, folder, prefix) as server:
        state = server.client.run(server.engine(queue).remove(job_id))
    if state is None:
        raise not_found(queue, job_id)
    if state == "active":
        raise JobError(f"job {address} is active: a worker holds it; wait for its end")
    click.echo(f"Removed {address}, which was {state}.")
