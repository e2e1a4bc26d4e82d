"""The rows of the tables: which queue, how it is installed, how its worker starts, what was set and why.

"default" is what each project does by itself, but for its number of processes, which the scenario says; "tuned" sets
what its documentation offers for speed, and the cells in which many jobs run at once set that for all.
"""

from dataclasses import dataclass
from typing import Any, Literal

Call = Literal["sync", "async"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """One row. `worker` is a command line in which `{bin}` is its environment's folder of programs, `{url}` the
    server, `{processes}` and `{concurrency}` what the cell asks for, `{name}` this worker's own.
    """

    queue: str
    name: str = "default"
    #: What pip installs; nothing for what runs in the benchmark's own environment.
    pins: tuple[str, ...] = ()
    #: The oldest Python that its wheels are for.
    python: tuple[int, int] = (3, 11)
    #: The Python module with its tasks and its producer, or the program of another language.
    module: str
    worker: tuple[str, ...] = ()
    #: The worker is one process; more of them are started one by one.
    alone: bool = False
    #: Jobs at once in a process when the cell does not say: the project's own number, or the best one.
    concurrency: int
    #: The most that a cell may ask for in one process, and how many processes may make up for it.
    concurrency_max: int = 1_000
    processes_max: int = 1
    #: What is added to the command where jobs wait, and to the environment of all that runs.
    naps: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    #: How its producers call it, and whether it has a call that takes many jobs.
    calls: tuple[Call, ...] = ("sync",)
    bulk: bool = False
    #: What its worker can run: "async" handlers, "threads" for functions, "processes" for what burns a core.
    kinds: tuple[str, ...] = ("threads",)
    #: Whether a caller can wait for a result.
    results: bool = True
    #: Glob patterns of the keys that hold what has not ended.
    holds: tuple[str, ...]
    #: About how many no-op jobs one process runs a second: how long a cell takes follows from it, no figure does.
    rate: float
    #: The only scenarios that this row is asked for; empty: all that it fits.
    only: tuple[str, ...] = ()
    #: What was set, in one sentence for the reader of the table, and what the table should say beyond its figures.
    said: str = ""
    remark: str = ""

    @property
    def row(self) -> str:
        """How the row is called on the command line, in the data and in the tables."""
        return f"{self.queue} {self.name}"

    @property
    def tuned(self) -> bool:
        """Whether this is the best configuration of its queue: every queue has one."""
        return "tuned" in self.name

    @property
    def ours(self) -> bool:
        return self.queue == "homing"

    @property
    def loop(self) -> bool:
        return self.queue == "loop"


def python(module: str, *words: str) -> tuple[str, ...]:
    return ("{bin}/python", "-m", module, *words)


def producer(module: str) -> tuple[str, ...]:
    """The command of a producer, which takes a mode and its options."""
    return ("{bin}/node", module) if module.endswith(".mjs") else python(module)


#: In `pins`: this project as it stands here, with the versions of what it needs that are installed here.
PROJECT = "{project}"


def _homing(name: str, said: str, concurrency: int, *words: str, **more: Any) -> Setup:
    return Setup(
        queue="homing",
        name=name,
        module="benchmarks.peers.homing_tasks",
        worker=(
            "{bin}/homing", "worker", "benchmarks.peers.homing_tasks:app", "--log-level", "warning",
            "--processes", "{processes}", "--concurrency", "{concurrency}", *words,
        ),
        concurrency=concurrency,
        calls=("sync", "async"),
        bulk=True,
        kinds=("async", "threads", "processes"),
        holds=("homing:{work*}:stream:*", "homing:{work*}:waiting:*", "homing:{work*}:active:*", "homing:{work*}:alone"),
        rate=120_000,
        said=said,
        **more,
    )  # fmt: skip


#: Where more jobs at once, or more threads, change anything.
_WIDER = ("drain-1", "drain-threads", "io-1000", "cpu")
_NEWER: dict[str, Any] = {"pins": (PROJECT,), "python": (3, 13), "only": ("drain-1", "drain-threads")}
HOMING = (
    _homing("streams", "defaults: 100 async jobs or 16 threads in one child process", 100),
    _homing("lists", "defaults, the other engine", 100),
    _homing("streams tuned", "concurrency 1,000, 64 threads; producers on uvloop; CPU-bound: one thread in each of "
            "several children", 1_000, "--threads", "64", only=_WIDER),
    _homing("lists tuned", "as streams tuned, the other engine", 1_000, "--threads", "64", only=_WIDER),
    _homing("streams 3.13", "defaults, on CPython 3.13, whose tasks start eagerly", 100, **_NEWER),
    _homing("lists 3.13", "as streams 3.13, the other engine", 100, **_NEWER),
)  # fmt: skip


def _loop(
    name: str,
    said: str,
    rate: float,
    *calls: Call,
    kinds: tuple[str, ...],
    holds: tuple[str, ...],
    only: tuple[str, ...] = (),
) -> Setup:
    module = f"benchmarks.loops.{name.replace('-', '_').replace(' ', '_')}"
    return Setup(
        queue="loop",
        name=name,
        module=module,
        worker=python(module, "worker") if kinds else (),
        alone=True,
        concurrency=500,
        calls=calls,
        bulk=bool(kinds),
        kinds=kinds,
        results=False,
        holds=holds,
        rate=rate,
        only=only,
        said=said,
    )  # fmt: skip


_ON_STREAMS, _ON_LISTS = ("loop:stream",), ("loop:waiting", "loop:active:*")
_BARE = ("drain-1", "enqueue-sync", "enqueue-bulk", "memory")
LOOPS = (
    _loop("streams-async plain", "asyncio on uvloop as redis-py's documentation shows it: XADD pipelined, `xreadgroup` of "
          "100 with its own parsing, JSON, a Task per job, XACK and XDEL of a batch in one pipeline; no fence",
          100_000, "async", kinds=("async",), holds=_ON_STREAMS),
    _loop("streams-async tuned", "the same as fast as redis-py goes: a raw reply of 500, msgspec, the next read in flight "
          "while a batch runs, its acks in flight behind it; no fence", 250_000, "async", kinds=("async",), holds=_ON_STREAMS),
    _loop("streams-sync", "a raw reply of 500 and msgspec, without asyncio; no fence", 200_000, "sync", kinds=("inline",),
          holds=_ON_STREAMS, only=_BARE),
    _loop("lists-sync", "RPUSH, LMOVE to an active list, LREM, 500 in a flight; no fence", 80_000, "sync",
          kinds=("inline",), holds=_ON_LISTS, only=_BARE),
    _loop("scripts-async", "asyncio on uvloop over homing's own scripts (streams), 500 in a call, no worker around them",
          90_000, "async", kinds=("async",), holds=("homing:{work*}:stream:*",), only=("drain-1", "server")),
    _loop("evalsha", "one EVALSHA a job, whose script is one XADD; enqueues only", 60_000, "sync", "async", kinds=(),
          holds=_ON_STREAMS, only=("enqueue-sync", "enqueue-async", "enqueue-100")),
)  # fmt: skip
