"""What each transition of an engine takes: instructions of its Lua, commands that it calls, the server's time.

    python -m benchmarks lua

Instructions and commands are counted (see interpreter.py), so they are the same on any machine, busy or not. The
server's time is that of its main thread over calls of a plain client: the median of many.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.interpreter import Interpreter
from homing.client import Client
from homing.command import Command
from homing.engines import make
from homing.engines.engine import EngineName
from homing.ids import Ids, new_id, new_worker_id
from homing.job import Ack, Again, Dead, Decision, NewJob, Settlement, State
from homing.keys import Keys
from homing.target import Target
from tests.servers import running

T = TypeVar("T")
Figures = dict[str, float]
#: Jobs in a call.
BATCHES = (1, 10, 100, 500)
ENGINES: tuple[EngineName, ...] = ("streams", "lists")
#: Others that wait all the time.
BESIDE = 1_000
#: Counts hardly differ; times do. A round of few jobs is repeated more often.
ROUNDS, TIMED_ROUNDS, TIMED_JOBS = 3, 15, 300
PAYLOAD = b'[["' + b"x" * 181 + b'"],{}]'
ERROR = b'{"type":"ValueError","message":"no such address","traceback":"","reason":"failed"}'
#: Transition -> what it is called in the table.
SAID = {
    "enqueue": "enqueue",
    "claim": "claim",
    "ack": "settle: done",
    "retry": "settle: again later",
    "bury": "settle: to the dead letters",
    "promote": "tick: due jobs",
    "tick": "tick: nothing due, a call",
}


class Walk:
    """One queue in which batches go through every transition; `take` runs a command under a transition's name.

    With `at_ms` jobs come in from then on, one batch a millisecond, and not at the server's time: how many instructions
    read an id's time depends on which letters spell it.
    """

    def __init__(
        self, engine: EngineName, run: Callable[[Command[Any]], Any], *, at_ms: int | None = None
    ) -> None:
        self.run, self.verbs = run, make(engine, Keys(f"lua-{engine}"))
        self.worker, self.lane, self.number = new_worker_id("lua"), new_id(), 0
        self._told = at_ms is not None
        self._ms = at_ms or time.time_ns() // 1_000_000
        self._ids = Ids(lambda: self._ms * 1_000_000)
        run(self.verbs.open())
        run(self.verbs.register(self.worker))
        run(self.enqueue(BESIDE))

    def _new_ids(self, count: int) -> list[str]:
        """Of the next millisecond, all: each one that its ids are of costs a batch some instructions. Without its first
        one, whose eighth and ninth letters may be the same, which spares some.
        """
        self._ms = self._ms + 1 if self._told else max(self._ms + 1, time.time_ns() // 1_000_000)
        return [self._ids.new() for _ in range(count + 1)][1:]

    def enqueue(self, count: int) -> Command[Any]:
        self.number += 1
        jobs = [NewJob(id=job_id, task="send_email", payload=PAYLOAD) for job_id in self._new_ids(count)]
        now_ms = self._ms if self._told else None
        return self.verbs.enqueue(jobs, lane=self.lane, number=self.number, now_ms=now_ms)

    def claim(self, count: int) -> Command[Any]:
        self.number += 1
        return self.verbs.claim(self.worker, limit=count, number=self.number)

    def settle(self, jobs: Sequence[Any], decision: Decision) -> Command[Any]:
        self.number += 1
        ends = [Settlement(job.id, job.ref, decision, 3, 1) for job in jobs]
        return self.verbs.settle(self.worker, ends, number=self.number)

    def round(self, count: int, take: Callable[[str, Command[Any]], Any]) -> None:
        """As many jobs wait afterwards as before."""
        for name, decision in (("ack", Ack()), ("retry", Again(0, 1)), ("bury", Dead(ERROR, 1))):
            take("enqueue", self.enqueue(count))
            jobs = take("claim", self.claim(count)).jobs
            if len(jobs) != count or take(name, self.settle(jobs, decision)).done != count:
                raise RuntimeError(f"{name}: not all of {count} jobs went through")
            if name == "retry":
                take("promote", self.verbs.tick([self.worker]))
                self.run(self.settle(self.run(self.claim(count)).jobs, Ack()))
            self.run(self.verbs.tick([self.worker]))
            take("tick", self.verbs.tick([self.worker]))
        self.run(self.verbs.purge(State.DEAD))


def measure() -> dict[str, dict[str, dict[str, Figures]]]:
    """Engine -> transition -> jobs in a call -> figures for each job (of a tick: for each call)."""
    with running("valkey-9.1") as server, Client(Target.parse(server.url)) as client:
        pid = int(client.info()["process_id"])
        counter = Interpreter(str(server.address["unix_socket_path"]))
        try:
            return {
                engine: _joined(_counted(engine, counter), _timed(engine, client, pid)) for engine in ENGINES
            }
        finally:
            counter.close()


Samples = dict[tuple[str, int], list[Figures]]


def _counted(engine: EngineName, counter: Interpreter) -> Samples:
    found: Samples = {}

    def take(name: str, command: Command[Any]) -> Any:
        answer, count = counter.run(command)
        figures = {"instructions": float(count.instructions), "commands": float(count.commands)}
        found.setdefault((name, batch), []).append(figures)
        return answer

    walk = Walk(engine, lambda command: counter.run(command)[0])
    for batch in BATCHES:
        for _ in range(ROUNDS):
            walk.round(batch, take)
    counter.run(walk.verbs.purge(State.WAITING, limit=BESIDE))
    return found


def _timed(engine: EngineName, client: Client, pid: int) -> Samples:
    found: Samples = {}

    def take(name: str, command: Command[Any]) -> Any:
        before = _processor_us(pid)
        answer = client.run(command)
        found.setdefault((name, batch), []).append({"server_us": _processor_us(pid) - before})
        return answer

    walk = Walk(engine, client.run)
    for batch in BATCHES:
        for _ in range(max(TIMED_ROUNDS, TIMED_JOBS // batch)):
            walk.round(batch, take)
    return found


def _processor_us(pid: int) -> float:
    """Of the server's main thread, which runs all commands."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e3


def _joined(*every: Samples) -> dict[str, dict[str, Figures]]:
    joined: dict[str, dict[str, Figures]] = {}
    for samples in every:
        for (name, batch), figures in samples.items():
            jobs = 1 if name == "tick" else batch
            into = joined.setdefault(name, {}).setdefault(str(batch), {})
            for figure in figures[0]:
                into[figure] = round(statistics.median(each[figure] for each in figures) / jobs, 3)
    return joined


def table(measured: dict[str, dict[str, dict[str, Figures]]]) -> Iterator[str]:
    """Lines of Markdown."""
    heads = [
        f"{engine}: {words}" for engine in measured for words in ("instructions", "commands", "server µs")
    ]
    yield f"| for each job | jobs in a call | {' | '.join(heads)} |"
    yield f"| --- | --- |{' --- |' * len(heads)}"
    for name, said in SAID.items():
        for batch in BATCHES[:1] if name == "tick" else BATCHES:
            cells = [
                f"{measured[engine][name][str(batch)][figure]:,.{digits}f}"
                for engine in measured
                for figure, digits in (("instructions", 0), ("commands", 2), ("server_us", 1))
            ]
            yield f"| {said} | {batch} | {' | '.join(cells)} |"
