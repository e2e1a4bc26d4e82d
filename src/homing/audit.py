"""Checking a live queue and mending it, as procedures: pages, a second look, repairs."""

import time
from collections.abc import Iterable

from msgspec import Struct

from homing import limits
from homing.engines.engine import Engine
from homing.job import Problem, State
from homing.steps import Steps, run, run_all, sleep

#: Jobs looked at in one call.
PAGE = 200
#: Another program may need this long between the two commands of its enqueue.
MOMENT_S = 0.25
#: Subjects looked at again in one flight.
FLIGHT = 50
#: Mending one thing may bring another to light; a queue that is never clean is left after so many rounds.
ROUNDS_MAX = 10


class Repaired(Struct, frozen=True):
    """What `repair` did, or would do: a sentence each."""

    mended: list[str]
    left: list[str]  # what is wrong and was left as it is


def verify(engine: Engine, *, rate: float | None = None, payloads: bool = False) -> Steps[list[Problem]]:
    """All that is wrong with a queue, each seen twice. At most `rate` jobs a second are looked at.

    With `payloads` each that waits, runs or is scheduled is fetched and compared with its checksum.
    """
    if rate is not None:
        limits.per_second(rate, "rate")
    found: list[Problem] = []
    unsure: set[str] = set()
    cursor = ""
    while True:
        started_s = time.monotonic()
        page = yield from run(engine.verify(cursor=cursor, limit=PAGE))
        found += page.problems
        unsure.update(page.unsure)
        unsure.difference_update(page.ids)
        if not (cursor := page.cursor):
            break
        yield from _rest(rate, started_s)
    found += [Problem(f"job:{one}", f"job {one} says that it is waiting and is not there") for one in unsure]
    found = yield from still(engine, found)
    return found + (yield from _corrupted(engine, rate)) if payloads else found


def _corrupted(engine: Engine, rate: float | None) -> Steps[list[Problem]]:
    found: list[Problem] = []
    for state in (State.SCHEDULED, State.WAITING, State.ACTIVE):
        cursor = ""
        while True:
            started_s = time.monotonic()
            page = yield from run(engine.peek(state, cursor=cursor, limit=PAGE))
            found += [
                Problem(f"job:{job.id}", f"job {job.id} is not what was enqueued: who claims it will bury it")
                for job in page.jobs
                if job.corrupted
            ]
            if not (cursor := page.cursor):
                break
            yield from _rest(rate, started_s)
    return found


def _rest(rate: float | None, started_s: float) -> Steps[None]:
    if rate and (rest_s := PAGE / rate - (time.monotonic() - started_s)) > 0:
        yield from sleep(rest_s)


def still(engine: Engine, found: list[Problem]) -> Steps[list[Problem]]:
    """Those problems that are there a moment later, too: another program may have been in the middle of it."""
    if not found:
        return []
    yield from sleep(MOMENT_S)
    subjects = _subjects(found)
    wrong: set[str] = set()
    for start in range(0, len(subjects), FLIGHT):
        some = subjects[start : start + FLIGHT]
        answers = yield from run_all([engine.repair(one, dry=True) for one in some])
        wrong |= {one for one, answer in zip(some, answers, strict=True) if answer.outcome != "fine"}
    return [problem for problem in found if problem.subject in wrong]


def repair(engine: Engine, *, dry: bool = False) -> Steps[Repaired]:
    """Mend all that `verify` finds, and verify again, until nothing more can be mended."""
    mended: list[str] = []
    left: list[str] = []
    for _ in range(ROUNDS_MAX):
        before, left = len(mended), []
        for subject in _subjects((yield from verify(engine))):
            more = True
            while more:
                answer = yield from run(engine.repair(subject, dry=dry))
                more = answer.more
                if answer.outcome == "mended":
                    mended.append(answer.says)
                elif answer.outcome == "left":
                    left.append(answer.says)
        if dry or len(mended) == before:
            break
    return Repaired(mended, left)


def _subjects(problems: Iterable[Problem]) -> list[str]:
    return list(dict.fromkeys(problem.subject for problem in problems))
