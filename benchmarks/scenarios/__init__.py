"""The questions of the benchmark: each with its measure, the figure that is compared, and which rows can be asked."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from benchmarks.scenarios import depth, drain, enqueue, idle, latency, memory, spread, start, waits
from benchmarks.scenarios.scene import Figures, Run
from benchmarks.setups import Setup

Better = Literal["more", "less"]
#: Which rows of peers are asked: all, those tuned for speed, those at their defaults, or none.
Peers = Literal["all", "tuned", "default", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """`fits` says why a row cannot be asked, in words for the table; "" when it can."""

    name: str
    title: str
    measure: Callable[[Run], Figures]
    fits: Callable[[Setup], str]
    #: The figure that rows are compared by, its unit for people, and which end of it is good.
    figure: str
    unit: str
    better: Better = "more"
    #: Other figures that the tables show, with their heads.
    also: tuple[tuple[str, str], ...] = ()
    peers: Peers = "all"
    #: Runs of homing and the loops, and of peers; None: as the command says.
    runs: tuple[int, int] | None = None
    #: About how long a run takes that measures for 1.5 s.
    takes_s: float = 2.5
    #: Who needs no worker's rate to know how many jobs to take.
    rated: bool = True

    def refuses(self, setup: Setup) -> str:
        """Why this row is not asked, in words for the table; "" when it is."""
        if setup.only and self.name not in setup.only:
            return f"only asked in {', '.join(setup.only)}"
        if not setup.ours and not setup.loop and not self._asks(setup):
            return (
                "no peer is asked"
                if self.peers == "none"
                else f"of peers only the rows {self.peers} are asked"
            )
        return self.fits(setup)

    def _asks(self, peer: Setup) -> bool:
        return self.peers in {"all", "tuned" if peer.tuned else "default"}


def _runs(kind: str) -> Callable[[Setup], str]:
    words = {"async": "async handlers", "threads": "threads", "processes": "processes"}

    def fits(setup: Setup) -> str:
        able = kind in setup.kinds or (kind == "async" and bool({"threads", "inline"} & set(setup.kinds)))
        if able and setup.worker:
            return ""
        return f"it has no {words[kind]}" if setup.worker else "it has no worker"

    return fits


def _naps(concurrency: int) -> Callable[[Setup], str]:
    def fits(setup: Setup) -> str:
        if not setup.worker or "inline" in setup.kinds or setup.name == "scripts-async":
            return "it runs one job at a time"
        if setup.concurrency_max * setup.processes_max < concurrency:
            return f"it would need {concurrency} processes"
        return ""

    return fits


def _calls(call: str) -> Callable[[Setup], str]:
    return lambda setup: "" if call in setup.calls else f"it has no {call} call"


def _only_homing(setup: Setup) -> str:
    return "" if setup.ours else "only asked of homing"


def _works(setup: Setup) -> str:
    return "" if setup.worker else "it has no worker"


_COSTS = (
    ("worker_us_per_job", "worker µs"),
    ("server_us_per_job", "server µs"),
    ("commands_per_job", "commands"),
    ("flights_per_job", "flights"),
)
_DELAYS = (
    ("start_p99_ms", "start p99"),
    ("result_p50_ms", "result p50"),
    ("result_p99_ms", "result p99"),
)

#: As many of peers as of homing: who is the quickest is asked, and how quickly a cold core wakes changes by the minute.
LATENCY_RUNS = (7, 7)

#: In the order in which they are measured: what homing wants to keep comes first, should the time run out.
SCENARIOS: dict[str, Scenario] = {
    each.name: each
    for each in (
        Scenario(
            name="drain-1", takes_s=3, title="No-op jobs, one process", measure=drain.one, fits=_runs("async"),
            figure="jobs_per_s", unit="jobs/s", also=_COSTS, rated=False,
        ),
        Scenario(
            name="latency-idle", takes_s=4.5, title="From enqueue to start and result, idle worker", measure=latency.idle,
            fits=_runs("async"), figure="start_p50_ms", unit="ms", better="less", also=_DELAYS, runs=LATENCY_RUNS,
        ),
        Scenario(
            name="server", takes_s=3, title="The server's time for a job of 200 bytes, its whole life", measure=drain.server,
            fits=_runs("async"), figure="server_us_per_job", unit="µs", better="less", peers="none",
            also=(("server_us_enqueue", "of it the enqueue"), ("commands_per_job", "commands"), ("flights_per_job", "flights")),
        ),
        Scenario(
            name="drain-2", takes_s=4.5, title="No-op jobs, two processes", measure=drain.two, fits=_runs("async"), peers="tuned",
            figure="jobs_per_s", unit="jobs/s", also=(*_COSTS, ("cores_busy", "cores busy")),
        ),
        Scenario(
            name="drain-2-first", takes_s=4.5, title="No-op jobs, two processes, the server never waiting for a core",
            measure=drain.two_behind_server, fits=_only_homing, peers="none", figure="cores_busy", unit="cores busy",
            also=(("jobs_per_s", "jobs/s"), *_COSTS),
        ),
        Scenario(
            name="drain-threads", takes_s=4.5, title="No-op jobs in threads, one process", measure=drain.threads, peers="tuned",
            fits=_runs("threads"), figure="jobs_per_s", unit="jobs/s", also=_COSTS,
        ),
        Scenario(
            name="enqueue-sync", takes_s=1.7, title="Enqueue one by one", measure=enqueue.singly_sync, fits=_calls("sync"), peers="tuned",
            figure="jobs_per_s", unit="jobs/s",
            also=(("us_per_call", "µs a call"), ("server_us_per_job", "server µs"), ("flights_per_job", "flights")),
        ),
        Scenario(
            name="enqueue-100", takes_s=2, title="Enqueue, 100 calls in flight", measure=enqueue.concurrent, peers="tuned",
            fits=_calls("async"), figure="jobs_per_s", unit="jobs/s",
            also=(("server_us_per_job", "server µs"), ("flights_per_job", "flights")),
        ),
        Scenario(
            name="enqueue-bulk", takes_s=2, title="Enqueue many in one call", measure=enqueue.bulk, peers="tuned",
            fits=lambda setup: "" if setup.bulk else "it has no call for many", figure="jobs_per_s", unit="jobs/s",
            also=(("server_us_per_job", "server µs"), ("flights_per_job", "flights")),
        ),
        Scenario(
            name="io-100", takes_s=3, title="Jobs that wait 50 ms, 100 at once", measure=waits.hundred, fits=_naps(100), peers="tuned",
            figure="share", unit="of the ideal", also=(("jobs_per_s", "jobs/s"), ("processes", "processes")),
        ),
        Scenario(
            name="io-1000", takes_s=6, title="Jobs that wait 50 ms, 1,000 at once", measure=waits.thousand, fits=_naps(1_000), peers="tuned",
            figure="share", unit="of the ideal", also=(("jobs_per_s", "jobs/s"), ("processes", "processes")),
        ),
        Scenario(
            name="memory", takes_s=4.5, title="Memory: a waiting job of 200 bytes, a finished one, the worker", peers="tuned",
            measure=memory.waiting, fits=_runs("async"), figure="bytes_per_waiting", unit="bytes", better="less", runs=(5, 3),
            also=(("bytes_of_keys", "of its keys"), ("bytes_per_finished", "bytes, finished"), ("worker_rss", "worker's largest process")),
        ),
        Scenario(
            name="depth", takes_s=40, title="Cost of a job beside 1,000,000 that wait, to beside 1,000", measure=depth.depths,
            fits=_only_homing, peers="none", figure="ratio", unit="times", better="less", runs=(1, 1),
            also=(("server_ratio", "of the server's time"), ("depth", "deepest")),
        ),
        Scenario(
            name="queues", takes_s=14, title="Cost of a job spread over 100 queues of one worker", measure=spread.queues,
            fits=_only_homing, peers="none", figure="ratio", unit="times", better="less", also=(("server_ratio", "of the server's time"),),
        ),
        Scenario(
            name="idle", takes_s=9, title="An idle worker's traffic", measure=idle.idle, fits=_works, peers="default",
            figure="flights_per_s", unit="round trips/s", better="less", runs=(3, 1),
            also=(("commands_per_s", "commands/s"), ("worker_cpu_share", "worker, share of a core")),
        ),
        Scenario(
            name="soak", takes_s=60, title="Two million jobs in one worker", measure=memory.soak, fits=_only_homing, peers="none",
            figure="rss_late", unit="bytes", better="less", runs=(1, 1),
            also=(("rss_early", "after the first 100,000"), ("server_grew_middle", "server grew, 1 M"),
                  ("server_grew_late", "server grew, 2 M")),
        ),
        Scenario(
            name="drain-million", takes_s=25, title="A million no-op jobs, one process", measure=drain.million, fits=_only_homing, peers="none",
            figure="jobs_per_s", unit="jobs/s", also=_COSTS, runs=(1, 1),
        ),
        Scenario(
            name="cpu", takes_s=6.5, title="Jobs that burn 10 ms of a core, in processes", measure=waits.burning, peers="default",
            fits=_runs("processes"), figure="share", unit="of the ideal", also=(("jobs_per_s", "jobs/s"),),
        ),
        Scenario(
            name="enqueue-async", takes_s=2.3, title="Enqueue one by one, awaited", measure=enqueue.singly_async, peers="tuned",
            fits=_calls("async"), figure="jobs_per_s", unit="jobs/s",
            also=(("us_per_call", "µs a call"), ("server_us_per_job", "server µs"), ("flights_per_job", "flights")),
        ),
        Scenario(
            name="workers", takes_s=16, title="Cost of a job with 8 workers on 2 cores", measure=spread.workers, runs=(3, 3),
            fits=_only_homing, peers="none", figure="server_ratio", unit="times", better="less", also=(("ratio", "of all time"),),
        ),
        Scenario(
            name="priorities", takes_s=9, title="Cost of a job spread over 10 priorities", measure=spread.priorities, runs=(3, 3),
            fits=_only_homing, peers="none", figure="ratio", unit="times", better="less", also=(("server_ratio", "of the server's time"),),
        ),
        Scenario(
            name="latency-half", takes_s=8, title="From enqueue to start and result, at half of its own full speed",
            measure=latency.half, fits=_runs("async"), figure="start_p50_ms", unit="ms", better="less", peers="tuned",
            also=(*_DELAYS, ("load_per_s", "load, jobs/s")),
        ),
        Scenario(
            name="start", takes_s=1, title="Import and command line", measure=start.start,
            fits=lambda setup: "" if setup.row == "homing streams" else "only asked of homing",
            figure="import_ms", unit="ms", better="less",
            also=(("help_ms", "homing --help"), ("python_ms", "python -c pass")),
        ),
    )
}  # fmt: skip
