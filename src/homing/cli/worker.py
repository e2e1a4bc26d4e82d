"""`homing worker`: a supervisor and its worker processes."""

import click

from homing.cli.app import named

LEVELS = ("debug", "info", "warning", "error")


@click.command("worker")
@click.argument("app", required=False, metavar="[MODULE:ATTR]")
@click.option(
    "--queue",
    "-q",
    "queues",
    multiple=True,
    help="Work on this queue; may be repeated (default: those of the tasks).",
)
@click.option("--processes", "-p", type=int, help="Worker processes (default: 1).")
@click.option("--concurrency", "-c", type=int, help="Async jobs at once in a process (default: 100).")
@click.option("--threads", "-t", type=int, help="Sync jobs at once in a process (default: 16).")
@click.option("--burst", is_flag=True, help="End when nothing is left, what is scheduled for later included.")
@click.option(
    "--grace", type=float, help="Seconds that running jobs may go on after a stop signal (default: 30)."
)
@click.option(
    "--stall", type=float, help="Seconds after which a process that stands still is killed (default: 300)."
)
@click.option(
    "--log-level", type=click.Choice(LEVELS), default="info", show_default=True, help="What is logged."
)
def command(
    app: str | None,
    queues: tuple[str, ...],
    processes: int | None,
    concurrency: int | None,
    threads: int | None,
    burst: bool,
    grace: float | None,
    stall: float | None,
    log_level: str,
) -> int:
    """Run the tasks of an app until told to stop.

    The first SIGTERM or SIGINT lets running jobs end and hands the others back, the second interrupts
    and hands back, the third kills. Exit code 75 when running jobs were handed back; 78 when
    the server evicts keys, and so jobs, when it is full (HOMING_ALLOW_EVICTION=1 works all the same).

    Example: homing worker tasks:app --queue emails --processes 2
    """
    import logging

    from homing.settings import Settings
    from homing.worker.supervisor import WorkerOptions, run

    options = WorkerOptions(
        app=named(app),
        queues=queues or None,
        processes=Settings.load(processes=processes).processes,
        concurrency=concurrency,
        threads=threads,
        burst=burst,
        grace=grace,
        stall=stall,
        log_level=getattr(logging, log_level.upper()),
    )
    return run(options)
