"""The queues that are compared: what is installed, how their workers start, what was set and why.

"default" is each project's own, but for 100 places where there are fewer, and for what a job that runs for minutes
cannot do without. "tuned" sets what its documentation offers for recovery: 10 s where homing's lease is 10 s, and
the shortest interval for the sweeps that look for it.
"""

from dataclasses import dataclass
from typing import Literal

from benchmarks.peers.setups import (
    ARDIQ,
    ARQ,
    BULLMQ,
    CELERY,
    DOCKET,
    DRAMATIQ,
    HUEY,
    MAYU,
    RQ,
    SAQ,
    STREAQ,
    TARSK,
    TASKIQ,
)  # fmt: skip
from benchmarks.setups import python

Scenario = Literal["child", "tree"]
SCENARIOS: tuple[Scenario, ...] = ("child", "tree")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """One row. `worker` is a command line in which `{bin}` is its environment's folder of programs."""

    queue: str
    name: str = "default"
    #: What pip installs; nothing for homing itself, which runs in the benchmark's own environment.
    pins: tuple[str, ...] = ()
    #: The oldest Python that its wheels are for.
    python: tuple[int, int] = (3, 11)
    worker: tuple[str, ...] = ()
    #: The Python module with its task and its producer, or the program of another language.
    module: str = ""
    #: What was set, in one sentence for the reader of the table.
    said: str = ""
    #: What the table should say of this queue beyond its figures.
    remark: str = ""


HOMING = tuple(
    Setup(
        queue="homing",
        name=engine,
        worker=("{bin}/homing", "worker", "benchmarks.peers.homing_tasks:app"),
        module="benchmarks.peers.homing_tasks",
        said="defaults: one child process, 100 async jobs, a lease of 10 s",
    )
    for engine in ("streams", "lists")
)

_RQ_WORKER = python("benchmarks.peers.rq_tasks", "worker")
_CELERY_WORKER = (
    "{bin}/celery", "-A", "benchmarks.peers.celery_tasks", "worker", "--concurrency", "100", "--hostname", "{name}@%h",
)  # fmt: skip
_DRAMATIQ_WORKER = (
    "{bin}/dramatiq", "benchmarks.peers.dramatiq_tasks", "--processes", "1", "--threads", "100",
)  # fmt: skip
_TASKIQ_WORKER = ("{bin}/taskiq", "worker", "benchmarks.peers.taskiq_tasks:broker", "--workers", "1")
_DOCKET_WORKER = (
    "{bin}/docket", "worker", "--tasks", "benchmarks.peers.docket_tasks:tasks", "--url", "{url}", "--concurrency", "100",
)  # fmt: skip
_TARSK_WORKER = (
    "{bin}/tarsk", "worker", "--broker", "{url}", "--app", "benchmarks.peers.tarsk_tasks:app", "--children", "1",
)  # fmt: skip

_ARDIQ_WORKER = ("{bin}/ardiq", "run", "benchmarks.peers.ardiq_tasks:app", "--quiet")
_MAYU_WORKER = (
    "{bin}/mayu", "worker", "benchmarks.peers.mayu_tasks:app", "--mode", "thread", "--threads", "100",
    "--prefetch-multiplier", "1",
)  # fmt: skip
_BULLMQ_WORKER = ("{bin}/node", "{root}/benchmarks/peers/bullmq_tasks.mjs", "worker")

PEERS = (
    Setup(
        queue="rq",
        pins=RQ,
        worker=_RQ_WORKER,
        module="benchmarks.peers.rq_tasks",
        said="a pool of 100 workers, one process per job",
    ),
    Setup(
        queue="rq",
        name="tuned",
        pins=RQ,
        worker=_RQ_WORKER,
        module="benchmarks.peers.rq_tasks",
        said="Retry(max=3), maintenance_interval=1, job_monitoring_interval=5, worker_ttl=20",
    ),
    Setup(
        queue="celery",
        pins=CELERY,
        worker=_CELERY_WORKER,
        module="benchmarks.peers.celery_tasks",
        said="prefork, 100 processes",
    ),
    Setup(
        queue="celery",
        name="tuned",
        pins=CELERY,
        worker=_CELERY_WORKER,
        module="benchmarks.peers.celery_tasks",
        said="task_acks_late, task_reject_on_worker_lost, prefetch 1, visibility_timeout=30",
        remark=(
            "A job that runs longer than visibility_timeout is handed out again while its worker lives; "
            "with 10 s all of them were, before anything was killed."
        ),
    ),
    Setup(
        queue="dramatiq",
        pins=DRAMATIQ,
        worker=_DRAMATIQ_WORKER,
        module="benchmarks.peers.dramatiq_tasks",
        said="one process, 100 threads",
    ),
    Setup(
        queue="dramatiq",
        name="tuned",
        pins=DRAMATIQ,
        worker=_DRAMATIQ_WORKER,
        module="benchmarks.peers.dramatiq_tasks",
        said="heartbeat_timeout=10 s, maintenance_chance=1,000,000 (at each command)",
    ),
    Setup(
        queue="huey",
        pins=HUEY,
        worker=("{bin}/huey_consumer", "benchmarks.peers.huey_tasks.huey", "--workers", "100"),
        module="benchmarks.peers.huey_tasks",
        said="one process, 100 threads",
        remark="Its documentation offers nothing for jobs of a killed worker.",
    ),
    Setup(
        queue="arq",
        pins=ARQ,
        worker=("{bin}/arq", "benchmarks.peers.arq_tasks.WorkerSettings"),
        module="benchmarks.peers.arq_tasks",
        said="one process, 100 jobs; job_timeout is 300 s",
    ),
    Setup(
        queue="arq",
        name="tuned",
        pins=ARQ,
        worker=("{bin}/arq", "benchmarks.peers.arq_tasks.WorkerSettings"),
        module="benchmarks.peers.arq_tasks",
        said="also job_timeout=60",
        remark="No job may run longer than job_timeout, and what is lost comes back after it.",
    ),
    Setup(
        queue="saq",
        pins=SAQ,
        worker=("{bin}/saq", "benchmarks.peers.saq_tasks.settings"),
        module="benchmarks.peers.saq_tasks",
        said="one process, 100 jobs, timeout=600 per job",
    ),
    Setup(
        queue="saq",
        name="tuned",
        pins=SAQ,
        worker=("{bin}/saq", "benchmarks.peers.saq_tasks.settings"),
        module="benchmarks.peers.saq_tasks",
        said="also retries=3, heartbeat=10 (which the job itself renews every 3 s), sweep every 1 s",
    ),
    Setup(
        queue="taskiq-redis",
        name="list",
        pins=TASKIQ,
        worker=_TASKIQ_WORKER,
        module="benchmarks.peers.taskiq_tasks",
        said="ListQueueBroker, one worker process",
    ),
    Setup(
        queue="taskiq-redis",
        name="stream",
        pins=TASKIQ,
        worker=_TASKIQ_WORKER,
        module="benchmarks.peers.taskiq_tasks",
        said="RedisStreamBroker, one worker process",
        remark="It looks for lost jobs only after a new one has arrived, and none does here.",
    ),
    Setup(
        queue="taskiq-redis",
        name="stream tuned",
        pins=TASKIQ,
        worker=_TASKIQ_WORKER,
        module="benchmarks.peers.taskiq_tasks",
        said="RedisStreamBroker, idle_timeout=10 s, unacknowledged_lock_timeout=5, xread_block=1 s",
        remark=(
            "It looks for lost jobs only after a new one has arrived, and none does here. "
            "It does not renew either: then a job over 10 s is handed out again while its worker lives."
        ),
    ),
    Setup(
        queue="streaq",
        pins=STREAQ,
        worker=("{bin}/streaq", "run", "benchmarks.peers.streaq_tasks:worker"),
        module="benchmarks.peers.streaq_tasks",
        said="one process, concurrency=100",
    ),
    Setup(
        queue="streaq",
        name="tuned",
        pins=STREAQ,
        worker=("{bin}/streaq", "run", "benchmarks.peers.streaq_tasks:worker"),
        module="benchmarks.peers.streaq_tasks",
        said="also idle_timeout=10",
        remark="It renews every 9 s: at the kill, anything from 1 to 10 s is left.",
    ),
    Setup(
        queue="pydocket",
        pins=DOCKET,
        worker=_DOCKET_WORKER,
        module="benchmarks.peers.docket_tasks",
        said="one process, concurrency=100",
    ),
    Setup(
        queue="pydocket",
        name="tuned",
        pins=DOCKET,
        worker=(*_DOCKET_WORKER, "--redelivery-timeout", "10s"),
        module="benchmarks.peers.docket_tasks",
        said="also redelivery_timeout=10 s",
    ),
    Setup(
        queue="tarsk-redis",
        pins=TARSK,
        worker=_TARSK_WORKER,
        module="benchmarks.peers.tarsk_tasks",
        said="one child, 100 slots; timeout is 300 s",
    ),
    Setup(
        queue="tarsk-redis",
        name="tuned",
        pins=TARSK,
        worker=(*_TARSK_WORKER, "--lease-grace", "1"),
        module="benchmarks.peers.tarsk_tasks",
        said="also timeout=60, retries=3, lease-grace=1",
        remark="No job may run longer than its timeout, and what is lost comes back after it.",
    ),
    Setup(
        queue="ardiq",
        pins=ARDIQ,
        python=(3, 12),
        worker=_ARDIQ_WORKER,
        module="benchmarks.peers.ardiq_tasks",
        said="one process, concurrency=100; idle_timeout is 60 s",
    ),
    Setup(
        queue="ardiq",
        name="tuned",
        pins=ARDIQ,
        python=(3, 12),
        worker=_ARDIQ_WORKER,
        module="benchmarks.peers.ardiq_tasks",
        said="also idle_timeout_ms=10,000",
    ),
    Setup(
        queue="mayu",
        pins=MAYU,
        python=(3, 13),
        worker=_MAYU_WORKER,
        module="benchmarks.peers.mayu_tasks",
        said="one process, 100 threads, prefetch-multiplier 1; visibility-timeout is 30 s",
    ),
    Setup(
        queue="mayu",
        name="tuned",
        pins=MAYU,
        python=(3, 13),
        worker=(*_MAYU_WORKER, "--visibility-timeout", "10", "--heartbeat-interval", "1"),
        module="benchmarks.peers.mayu_tasks",
        said="also visibility-timeout 10, heartbeat-interval 1",
    ),
    Setup(
        queue="BullMQ",
        pins=BULLMQ,
        worker=_BULLMQ_WORKER,
        module="{root}/benchmarks/peers/bullmq_tasks.mjs",
        said="one process, concurrency 100; lockDuration and stalledInterval are 30 s",
    ),
    Setup(
        queue="BullMQ",
        name="tuned",
        pins=BULLMQ,
        worker=_BULLMQ_WORKER,
        module="{root}/benchmarks/peers/bullmq_tasks.mjs",
        said="also lockDuration 10 s, stalledInterval 1 s",
    ),
)
