"""`homing doctor`: is this server fit to keep jobs."""

import dataclasses
import time
from collections import Counter
from collections.abc import Collection

import click

from homing.cli.app import app_option, load, spec
from homing.cli.exits import DONE, FAILED
from homing.cli.findings import latency, server, tasks
from homing.cli.output import print_json, print_table
from homing.cli.records import pages
from homing.cli.server import Administration, json_option, reach, server_options
from homing.fitness import Finding, Level

PINGS = 20
#: Jobs of each queue and state whose tasks are looked up.
JOBS = 1_000


@click.command("doctor")
@app_option
@server_options
@json_option
def command(app: str | None, url: str | None, folder: str | None, prefix: str | None, as_json: bool) -> int:
    """Say whether the server is fit to keep jobs.

    Looks at version, role, memory and latency, at each setting that weakens a promise (eviction,
    persistence, replicas, connections), and, when an app is named, for jobs whose task it does not have.
    Each finding comes with the line that mends it. Exit code 1 when something is bad.

    Example: homing doctor --url redis://localhost --app tasks:app
    """
    known = set(load(app).tasks) if spec(app) is not None else None
    with reach(url, folder, prefix) as administration:
        findings = examine(administration, known)
    if as_json:
        print_json([dataclasses.asdict(one) for one in findings])
    else:
        rows = [(one.about, str(one.level), one.says) for one in findings]
        print_table(("about", "is", "because"), rows, columns=300)
        for one in findings:
            if one.remedy:
                click.echo(f"{one.about}: {one.remedy}")
    return FAILED if any(one.level is Level.BAD for one in findings) else DONE


def examine(administration: Administration, known: Collection[str] | None) -> list[Finding]:
    """All findings; `known` are the app's tasks, None when there is no app to compare with."""
    from homing.examination import examine as examine_server

    client = administration.client
    here = Finding("server", Level.GOOD, client.describe())
    facts = examine_server(client, administration.settings)
    findings = [here, *server(facts), latency(_round_trips_ms(administration))]
    if known is not None:
        findings.append(_tasks(administration, known))
    return findings


def _round_trips_ms(administration: Administration) -> list[float]:
    from homing.command import Command

    times = []
    for _ in range(PINGS):
        start = time.perf_counter()
        administration.client.run(Command(("PING",), (), (), bool))
        times.append(1_000 * (time.perf_counter() - start))
    return times


def _tasks(administration: Administration, known: Collection[str]) -> Finding:
    from homing.job import State

    unknown: Counter[str] = Counter()
    looked_at = 0
    for engine in administration.engines(administration.queues()).values():
        for state in (State.WAITING, State.SCHEDULED, State.ACTIVE):
            for job in pages(administration, engine, state, JOBS):
                looked_at += 1
                if job.task and job.task not in known:
                    unknown[job.task] += 1
    return tasks(unknown, looked_at)
