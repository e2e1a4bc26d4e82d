"""Where a run takes place: a server, producers and worker trees, what is done to them, and their account."""

import contextlib
import itertools
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import redis

from chaos.checker import Final
from chaos.history import History
from chaos.plan import ENOUGH, QUEUE, Plan
from chaos.power import fsync_tracker
from chaos.processes import Process, rss_mib, send, start
from homing import App
from homing.engines import make
from homing.errors import HomingError
from homing.ids import ID_LENGTH
from homing.job import Counts
from tests import servers

ROOT = Path(__file__).resolve().parent.parent
#: Drained is when nothing is left; who makes no progress for so long has lost something.
STILL_S = 60.0
#: Producers may take so long to end, and then the queue to drain: and as long as their jobs need at this pace.
PATIENCE_S, SLOWEST = 600.0, 100.0
#: Job numbers of one producer, so that ranges of two never meet.
STRIDE, FAR = 128, 1 << 32
#: One job a call is slow: who does that makes a small share of them.
WEIGHTS = {"single": 0.1}
LEAVE_S = 30.0


def told_by(stored: Mapping[str, str]) -> dict[str, str]:
    """The states that a hash of facts tells, by job: a field of one's own, or one that many share."""
    facts = {}
    for name, fact in stored.items():
        if not name.endswith("\n"):
            facts[name] = fact.split()[0]
        elif name != "\n":
            at = 0
            while at < len(fact):
                ids = fact.index(":", at) + 1
                at, count = ids, int(fact[at : ids - 1].split()[1])
                while count:
                    facts[fact[at : at + ID_LENGTH]] = "completed"
                    at, count = at + ID_LENGTH, count - 1
    return facts


class Unmet(Exception):
    """What must come to pass did not, in the time it may take."""


@dataclass(frozen=True, kw_only=True)
class Site:
    """How an arena is furnished."""

    server: str = "valkey-9.1"
    options: dict[str, str] = field(default_factory=dict)  # of the server
    trees: int = 2
    processes: int = 2
    producers: Sequence[str] = ("many", "async", "single")
    pace: float = 1_000.0  # jobs a second of all producers together; 0: as fast as may be
    worker_options: Sequence[str] = ("--grace", "10")
    env: dict[str, str] = field(default_factory=dict)  # of workers
    producer_env: dict[str, str] = field(default_factory=dict)
    powered: bool = False  # the server's power can be cut
    loses: bool = False  # the server may lose what it had acknowledged
    loss_window_s: float | None = None  # but only of so long before a fault
    still_s: float = STILL_S
    patience_s: float = PATIENCE_S


class Arena:
    """`with Arena(...) as arena`: everything that was started is gone at the end of the block."""

    def __init__(self, folder: Path, site: Site, plan: Plan, jobs: int, seed: int) -> None:
        self.folder, self.site, self.jobs = folder, site, jobs
        self.dice = random.Random(seed)
        self.history = History(folder / "history", "harness")
        self.trees: list[Process] = []
        self.producers: list[Process] = []
        self.server: servers.Server | None = None
        self.plan = plan
        self.rss: list[float] = []
        self.cut_bytes = 0
        self.unmet: list[str] = []
        self._marks: dict[str, str] = {}
        self._numbers = itertools.count(1)
        self._struck = 0
        self._app: App | None = None

    # Furnishing.

    def __enter__(self) -> Self:
        try:
            self.start_server()
            self.plan = replace(self.plan, url=self.worker_url())
            self.app.client.run(
                self.queue.engine(self.app.client).open(
                    {"lease_ms": self.plan.lease_ms, "facts_max": 5_000_000}
                )
            )
            self.settle_in()
        except BaseException:
            self.__exit__()
            raise
        return self

    def open_queue(self) -> None:
        """The queue's settings: a short lease, and no end is forgotten."""
        engine = make(self.plan.engine, self.queue.keys)
        self.app.client.run(engine.open({"lease_ms": self.plan.lease_ms, "facts_max": 5_000_000}))

    def settle_in(self) -> None:
        self.trees += [self.new_tree() for _ in range(self.site.trees)]
        weights = [WEIGHTS.get(mode, 1.0) for mode in self.site.producers]
        for number, mode in enumerate(self.site.producers):
            share, pace = (whole * weights[number] / sum(weights) for whole in (self.jobs, self.site.pace))
            words = ["-m", "chaos.producer", *map(str, (number * FAR, STRIDE, round(share), mode, pace))]
            plan = replace(self.plan, url=self.producer_url())
            env = self.site.producer_env
            self.producers.append(start(f"producer-{number}", words, plan, "producer", ROOT, **env))

    def __exit__(self, *_: object) -> None:
        for process in (*self.trees, *self.producers):
            process.kill_tree()
        if self._app is not None:
            self._app.close()
        if self.server is not None:
            self.server.stop()

    def start_server(self) -> None:
        extra = fsync_tracker(self.folder) if self.site.powered else {}
        os.environ.update(extra)
        try:
            self.server = servers.start(self.site.server, self.folder / "server", **self.site.options)
        finally:
            for name in extra:
                del os.environ[name]

    def notes(self) -> dict[str, Any]:
        """What a report should say of this arena alone."""
        return {"bytes cut from the AOF": self.cut_bytes} if self.site.powered else {}

    def worker_url(self) -> str:
        assert self.server is not None
        return self.server.url

    def producer_url(self) -> str:
        assert self.server is not None
        return self.server.url

    def new_tree(self) -> Process:
        words = ["-m", "homing.cli.main", "worker", "chaos.workload:app", "-p", str(self.site.processes)]
        name = f"worker-{next(self._numbers)}"
        return start(name, [*words, *self.site.worker_options], self.plan, "worker", ROOT, **self.site.env)

    @property
    def app(self) -> App:
        """A client of the harness's own, straight to the server."""
        if self._app is None:
            assert self.server is not None
            self._app = App(self.server.url, deadline=2.0)
            self._app.queue(QUEUE, engine=self.plan.engine)
        return self._app

    @property
    def queue(self) -> Any:
        return self.app.queue(QUEUE)

    def raw(self, **options: Any) -> "redis.Redis":
        assert self.server is not None
        return self.server.redis(**options)

    # Faults.

    @contextmanager
    def fault(self, name: str, pids: Sequence[int] | None) -> Iterator[None]:
        """What is done to these processes (None: to everybody) for as long as the block lasts."""
        self._struck += 1
        number = self._struck
        self.history.write("fault", number, name, "*" if pids is None else ",".join(map(str, pids)) or "-")
        try:
            yield
        finally:
            self.history.write("healed", number)

    def rest(self, least_s: float, most_s: float) -> None:
        """Let the others work for a while; who should run and does not is started again."""
        time.sleep(self.dice.uniform(least_s, most_s))
        self.tend()

    def tend(self) -> None:
        for at, tree in enumerate(self.trees):
            if not tree.alive:
                tree.kill_tree()
                self.trees[at] = self.new_tree()
        for producer in self.producers:
            if not producer.alive and producer.process.returncode != 0:
                last = producer.log.read_text().strip().rpartition("\n")[2]
                self._missed(f"{producer.log.stem} broke off: {last}")
        self._look_at_marks()
        self.rss.append(max((rss_mib(pid) for tree in self.trees for pid in tree.children()), default=0.0))

    def _missed(self, what: str) -> None:
        if what not in self.unmet:
            self.unmet.append(what)

    def _look_at_marks(self) -> None:
        """Tell the history which jobs are charged with crashes."""
        with contextlib.suppress(redis.RedisError), self.raw(decode_responses=True, socket_timeout=1) as raw:
            marks: dict[str, str] = raw.hgetall(f"homing:{{{QUEUE}}}:suspects")
            for job_id in sorted(job_id for job_id in marks if marks[job_id] != self._marks.get(job_id)):
                self.history.write("marks", job_id, marks[job_id].split()[0])
            self._marks = marks

    def refusals(self) -> int:
        """How many enqueues a full server has refused so far."""
        files = (self.folder / "history").glob("producer-*")
        return sum(b" refused " in line for file in files for line in file.read_bytes().splitlines())

    def ready(self, deadline_s: float = 60.0) -> None:
        """Wait until every worker process runs jobs."""
        wait_until(
            lambda: (
                len(list((self.folder / "history").glob("worker-*"))) >= len(self.trees) * self.site.processes
            ),
            deadline_s,
            "the workers did not begin",
        )

    # The end.

    def counts(self) -> Counts | None:
        with contextlib.suppress(HomingError):
            counts: Counts = self.queue.counts()
            return counts
        return None

    def finish(self) -> Final:
        """Let producers end, drain, let workers leave, and look at what is there."""
        (self.folder / ENOUGH).touch()
        self.history.write("phase", "drain")
        self._end(self.producers, self.site.patience_s + self.jobs / SLOWEST)
        self.history.write("phase", "produced")
        self._drain()
        self.history.write("phase", "drained")
        for tree in self.trees:
            tree.process.send_signal(signal.SIGTERM)
        self._end(self.trees, LEAVE_S)
        return self.look()

    def _end(self, processes: Sequence[Process], deadline_s: float) -> None:
        """Wait for their ends; who does not come to it is killed, and told of."""
        end_s = time.monotonic() + deadline_s
        for process in processes:
            try:
                process.process.wait(max(0.0, end_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                self._missed(f"{process.log.stem} did not end within {deadline_s:.0f} s")
                process.kill_tree()

    def _drain(self) -> None:
        last, since_s = None, time.monotonic()
        end_s = since_s + self.site.patience_s + self.jobs / SLOWEST
        while time.monotonic() < min(since_s + self.site.still_s, end_s):
            counts = self.counts()
            if counts is not None and not counts.waiting + counts.active + counts.scheduled:
                return
            if counts != last:
                last, since_s = counts, time.monotonic()
            time.sleep(0.1)
            self.tend()

    def look(self) -> Final:
        """All that the server still knows, nobody being there."""
        from msgspec.structs import asdict

        counts = self.queue.counts()
        facts: dict[str, str] = {}
        leftovers: list[str] = []
        with self.raw(decode_responses=True) as raw:
            base = f"homing:{{{QUEUE}}}"
            for key in (f"{base}:finished:old", f"{base}:finished"):
                facts |= told_by(raw.hgetall(key))
            for kind in ("worker:", "active:", "job:"):
                keys = set(raw.keys(f"homing:{{{QUEUE}}}:{kind}*"))
                if kind == "job:":
                    keys -= {f"{base}:job:{job}" for job in raw.zrange(f"{base}:dead", 0, -1)}
                leftovers += sorted(keys)
            for stream in raw.keys(f"{base}:stream:*"):
                leftovers += [
                    f"consumer {one['name']} of {stream}"
                    for one in raw.xinfo_consumers(stream, "workers")
                    if one["name"] not in ("returned", "alone")
                ]
            dead = frozenset(raw.zrange(f"{base}:dead", 0, -1))
            marks = raw.hgetall(f"{base}:suspects")  # those of the dead stay with them
            leftovers += [f"marks of job {job}: {marks[job]}" for job in sorted(set(marks) - dead)]
        return Final(
            counts={name: int(value) for name, value in asdict(counts).items()},
            dead=dead,
            facts=facts,
            leftovers=tuple(leftovers),
            problems=tuple(self.queue.verify()),
            lost_data=self.site.loses,
            loss_window_s=self.site.loss_window_s,
        )


def wait_until(true: Callable[[], object], deadline_s: float, what: str) -> None:
    end_s = time.monotonic() + deadline_s
    while not true():
        if time.monotonic() > end_s:
            raise Unmet(f"{what} within {deadline_s:g} s")
        time.sleep(0.02)


def stop_and_go(pids: list[int], pause_s: float) -> None:
    """SIGSTOP these, and SIGCONT them after a while."""
    send(pids, signal.SIGSTOP)
    time.sleep(pause_s)
    send(pids, signal.SIGCONT)
