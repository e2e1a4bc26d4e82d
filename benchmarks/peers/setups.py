"""The peers: versions, how their workers start, and what "tuned" sets. Why each was chosen stands in `said`."""

from collections.abc import Mapping
from typing import Any

from benchmarks.setups import Setup, python

RQ = ("rq==3.0.0", "redis==8.1.0")
CELERY = ("celery[redis,gevent]==5.7.0",)
DRAMATIQ = ("dramatiq[redis]==2.2.1",)
HUEY = ("huey==3.5.4", "redis==8.1.0")
ARQ = ("arq==0.28.0", "uvloop==0.23.0")
# saq imports typing_extensions and does not ask for it.
SAQ = ("saq[redis,hiredis]==0.26.4", "typing_extensions==4.16.0", "uvloop==0.23.0")
TASKIQ = ("taskiq-redis==1.2.4", "uvloop==0.23.0")
STREAQ = ("streaq==7.2.0", "uvloop==0.23.0")
DOCKET = ("pydocket==0.27.0", "uvloop==0.23.0")
TARSK = ("tarsk-redis==0.2.1",)
ARDIQ = ("ardiq==1.2.0", "uvloop==0.23.0")
MAYU = ("mayu==0.2.5",)
BULLMQ = ("npm:bullmq@6.7.0", "npm:ioredis@5.8.2")


def _module(name: str) -> str:
    return f"benchmarks.peers.{name}"


def _pair(
    default: str, tuned: str, *, better: Mapping[str, Any] | None = None, **shared: Any
) -> tuple[Setup, Setup]:
    """The row of a queue as it is, and the one with what its documentation offers for speed: `better` than shared."""
    return Setup(said=default, **shared), Setup(name="tuned", said=tuned, **(shared | dict(better or {})))


_RQ_WORKER = ("{bin}/rq", "worker-pool", "work", "--quiet", "--url", "{url}", "--num-workers", "{processes}")
_CELERY_WORKER = (
    "{bin}/celery", "-A", _module("celery_tasks"), "worker", "--loglevel", "WARNING", "--hostname", "{name}@%h",
)  # fmt: skip
_CELERY_QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat")
_TASKIQ_WORKER = (
    "{bin}/taskiq", "worker", "benchmarks.peers.taskiq_tasks:broker", "--log-level", "WARNING", "--workers", "{processes}",
    "--max-async-tasks", "{concurrency}",
)  # fmt: skip
_TASKIQ: dict[str, Any] = {
    "queue": "taskiq-redis",
    "pins": TASKIQ,
    "module": _module("taskiq_tasks"),
    "concurrency": 100,
    "calls": ("async",),
    "kinds": ("async", "threads", "processes"),
    "rate": 3_500,
}
_MAYU_WORKER = (
    "{bin}/mayu", "worker", "benchmarks.peers.mayu_tasks:app", "--processes", "{processes}", "--log-level", "WARNING",
)  # fmt: skip
_DOCKET_WORKER = (
    "{bin}/docket", "worker", "--tasks", "benchmarks.peers.docket_tasks:tasks", "--url", "{url}", "--concurrency",
    "{concurrency}", "--logging-level", "WARNING",
)  # fmt: skip

PEERS: tuple[Setup, ...] = (
    *_pair(
        "a process forked for each job",
        "SimpleWorker, which forks nothing; result_ttl=0 where nobody waits",
        better={"worker": (*_RQ_WORKER, "--worker-class", "rq.worker.SimpleWorker")},
        queue="rq", pins=RQ, module=_module("rq_tasks"),
        worker=_RQ_WORKER,
        concurrency=1, concurrency_max=1, processes_max=100, bulk=True, kinds=("threads", "processes"),
        holds=("rq:queue:work", "rq:queue:work:intermediate", "rq:wip:work", "rq:wip:work:*"), rate=60,
    ),
    *_pair(
        "prefork; without a result backend where nobody waits",
        "the solo pool, one for each process; prefetch 128, no gossip, mingle or heartbeat, rate limits off, transient "
        "messages, ignore_result; gevent where jobs wait",
        better={
            "worker": (*_CELERY_WORKER, *_CELERY_QUIET), "alone": True,
            "naps": ("--pool", "gevent", "--concurrency", "{concurrency}"), "concurrency_max": 1_000,
        },
        queue="celery", pins=CELERY, module=_module("celery_tasks"),
        worker=(*_CELERY_WORKER, "--concurrency", "{processes}"),
        concurrency=1, concurrency_max=1, processes_max=100, kinds=("threads", "processes"),
        holds=("celery", "unacked"), rate=1_200,
    ),
    *_pair(
        "8 threads in a process",
        "2 threads in a process, which reads 1,000 messages ahead (dramatiq_queue_prefetch)",
        better={"concurrency": 2, "rate": 7_000, "variables": (("dramatiq_queue_prefetch", "1000"),)},
        queue="dramatiq", pins=DRAMATIQ, module=_module("dramatiq_tasks"),
        worker=("{bin}/dramatiq", _module("dramatiq_tasks"), "--processes", "{processes}", "--threads", "{concurrency}"),
        concurrency=8, kinds=("threads", "processes"),
        holds=("dramatiq:work.msgs",), rate=3_500,
    ),
    *_pair(
        "one thread",
        "4 threads; no results are stored (results=False) where nobody waits, a look every 5 ms (max_delay) where somebody does",
        better={"concurrency": 4, "rate": 6_000},
        queue="huey", pins=HUEY, module=_module("huey_tasks"), alone=True,
        worker=("{bin}/huey_consumer", "benchmarks.peers.huey_tasks.huey", "--quiet", "--workers", "{concurrency}"),
        concurrency=1, kinds=("threads", "processes"), holds=("huey.redis.work",), rate=3_500,
    ),
    *_pair(
        "10 jobs at once",
        "100 jobs at once, poll_delay=0.01, uvloop, keep_result=0 where nobody waits",
        better={"concurrency": 100},
        queue="arq", pins=ARQ, module=_module("arq_tasks"), alone=True,
        worker=("{bin}/arq", "benchmarks.peers.arq_tasks.WorkerSettings"),
        concurrency=10, calls=("async",), kinds=("async",), holds=("arq:queue", "arq:in-progress:*"), rate=1_500,
    ),
    *_pair(
        "10 jobs at once",
        "100 jobs at once, max_concurrent_ops=100, uvloop, hiredis, ttl=-1 (no result) where nobody waits, else poll_interval=5 ms",
        better={"concurrency": 100},
        queue="saq", pins=SAQ, module=_module("saq_tasks"),
        worker=("{bin}/saq", "benchmarks.peers.saq_tasks.settings", "--workers", "{processes}", "--quiet"),
        concurrency=10, calls=("async",), kinds=("async",),
        holds=("saq:work:incomplete",), rate=2_000,
    ),
    Setup(
        name="list", worker=_TASKIQ_WORKER, holds=("taskiq",), **_TASKIQ,
        said="ListQueueBroker, 100 async tasks at once, uvloop (it takes it where it is)",
    ),
    Setup(
        name="list tuned", worker=(*_TASKIQ_WORKER, "--max-prefetch", "1000", "--no-parse"), holds=("taskiq",),
        **(_TASKIQ | {"concurrency": 1_000}), said="also 1,000 at once, max-prefetch 1,000, no-parse",
    ),
    Setup(
        name="stream", worker=_TASKIQ_WORKER, holds=("taskiq",), **_TASKIQ,
        said="RedisStreamBroker, 100 async tasks at once, uvloop (it takes it where it is)",
    ),
    Setup(
        name="stream tuned", worker=(*_TASKIQ_WORKER, "--max-prefetch", "1000", "--no-parse"), holds=("taskiq",), **_TASKIQ,
        said="also max-prefetch 1,000, no-parse, xread_count=1,000",
    ),
    *_pair(
        "16 jobs at once",
        "100 jobs at once, prefetch=1,000, uvloop, ttl=0 (no result) where nobody waits",
        better={"concurrency": 100},
        queue="streaq", pins=STREAQ, module=_module("streaq_tasks"),
        worker=("{bin}/streaq", "run", "benchmarks.peers.streaq_tasks:worker", "--workers", "{processes}"),
        concurrency=16, calls=("async",), bulk=True, kinds=("async", "threads", "processes"),
        holds=("streaq:default:queues:normal", "streaq:default:index:running"), rate=1_000,
    ),
    *_pair(
        "10 jobs at once, a look at the queue each 250 ms",
        "50 jobs at once, minimum_check_interval=5 ms (Worker; the command takes whole seconds), uvloop, execution_ttl=0 where nobody waits",
        better={"worker": python(_module("docket_tasks"), "worker"), "concurrency": 50},
        remark="With 100 no-op jobs at once in a process its client ran out of connections (MaxConnectionsError).",
        queue="pydocket", pins=DOCKET, module=_module("docket_tasks"), worker=_DOCKET_WORKER, alone=True,
        concurrency=10, concurrency_max=50, processes_max=20, calls=("async",), bulk=True, kinds=("async",), holds=("docket:stream", "docket:queue"), rate=1_500,
    ),
    *_pair(
        "one child with 100 slots",
        "one child with 1,000 slots",
        better={"concurrency": 1_000},
        queue="tarsk-redis", pins=TARSK, module=_module("tarsk_tasks"),
        worker=(
            "{bin}/tarsk", "worker", "--broker", "{url}", "--app", "benchmarks.peers.tarsk_tasks:app", "--children",
            "{processes}", "--slots", "{concurrency}",
        ),
        concurrency=100, kinds=("async", "threads", "processes"), holds=("tarsk:*default*",), rate=10_000,
    ),
    *_pair(
        "defaults",
        "1,000 jobs at once, prefetch 1,000, uvloop, result_ttl_ms=0 where nobody waits",
        better={"concurrency": 1_000, "rate": 15_000},
        queue="ardiq", pins=ARDIQ, python=(3, 12), module=_module("ardiq_tasks"),
        worker=("{bin}/ardiq", "run", "benchmarks.peers.ardiq_tasks:app", "--quiet", "--workers", "{processes}"),
        concurrency=10, calls=("async",), bulk=True, kinds=("async", "threads", "processes"),
        holds=("*work*:queues:*",), rate=8_000,
    ),
    *_pair(
        "one process, which runs one job at a time where Python has a GIL (process mode)",
        "plain functions in 4 threads of one process (thread mode), prefetch-multiplier 1,000; more threads, process mode "
        "and async handlers were slower",
        better={
            "worker": (*_MAYU_WORKER, "--mode", "thread", "--threads", "{concurrency}", "--prefetch-multiplier", "1000"),
            "concurrency": 4, "rate": 60_000,
        },
        queue="mayu", pins=MAYU, python=(3, 13), module=_module("mayu_tasks"),
        worker=_MAYU_WORKER,
        concurrency=2, kinds=("async", "threads", "processes"), holds=("mayu:{work}*",), rate=6_000,
    ),
    *_pair(
        "one job at a time, finished jobs are kept",
        "100 jobs at once; removeOnComplete and removeOnFail where nobody waits",
        better={"concurrency": 100},
        queue="BullMQ", pins=BULLMQ, module="{root}/benchmarks/peers/bullmq_tasks.mjs", alone=True,
        worker=("{bin}/node", "{root}/benchmarks/peers/bullmq_tasks.mjs", "worker"),
        concurrency=1, calls=("async",), bulk=True, kinds=("async", "processes"),
        holds=("bull:work:wait", "bull:work:active", "bull:work:paused"), rate=5_000,
    ),
)  # fmt: skip
