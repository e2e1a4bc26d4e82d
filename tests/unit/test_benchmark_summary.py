"""The table of what homing must show: whose figure stands where, and what is marked."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import homing
from benchmarks import sampling
from benchmarks.bench import Bench
from benchmarks.kinds import best_of
from benchmarks.peers.setups import PEERS
from benchmarks.scenarios import SCENARIOS
from benchmarks.scenarios.scene import Run
from benchmarks.setups import HOMING, LOOPS
from benchmarks.stages import PRODUCER, WORKER, stage_of
from benchmarks.store import Cell, Row, Store
from benchmarks.summary import summary

NOWHERE = Path("/nowhere/recovery.json")


def drained(*rates: float) -> Cell:
    return Cell([{"jobs_per_s": rate} for rate in rates])


def run(scenario: str, seconds: float | None, *, twice: int = 0) -> dict[str, object]:
    return {"scenario": scenario, "seconds": seconds, "twice": twice, "failed": ""}


@pytest.fixture
def store() -> Store:
    rows = {
        "homing streams": Row("homing", "streams"),
        "homing lists": Row("homing", "lists"),
        "loop streams-async plain": Row("loop", "streams-async plain"),
        "loop streams-async tuned": Row("loop", "streams-async tuned"),
        "huey tuned": Row("huey", "tuned"),
        "saq default": Row("saq", "default"),
        "mayu tuned": Row("mayu", "tuned"),
        "BullMQ tuned": Row("BullMQ", "tuned"),
    }
    rates = (60_000, 50_000, 100_000, 300_000, 4_000, 2_000, 70_000, 15_000)
    return Store(
        rows=rows, cells={"drain-1": {row: drained(rate) for row, rate in zip(rows, rates, strict=True)}}
    )


def test_a_line_has_the_best_of_each_kind_and_tells_what_is_missed_and_who_is_ahead(store: Store) -> None:
    [row] = [line for line in summary(store, NOWHERE) if "No-op async jobs" in line]
    assert row.strip("| ").split(" | ") == [
        "✗ ◀ No-op async jobs, one process, jobs/s",
        "**60,000**",
        "**50,000**",
        "4,000 huey tuned",
        "**70,000 mayu tuned ◀**",
        "15,000 BullMQ tuned",
        "100,000 plain, 300,000 tuned",
        (
            "≥ 0.55 of the plain loop: 0.6; ≥ 0.7 lists of streams: 0.833; ≥ 13 times the best in pure Python: 15; "
            "**≥ 1 times the best with a Rust core: 0.857 ✗**; 0.20 of the tuned loop, of which nothing is wanted"
        ),
    ]


def test_a_line_that_is_kept_bears_no_mark(store: Store) -> None:
    store.cells["drain-1"]["mayu tuned"] = drained(30_000)
    [row] = [line for line in summary(store, NOWHERE) if "No-op async jobs" in line]
    assert "✗" not in row
    assert "◀" not in row


def test_where_less_is_better_a_quicker_peer_is_ahead_and_a_bound_is_missed(store: Store) -> None:
    delays = {"homing streams": 0.5, "homing lists": 0.9, "huey tuned": 0.6, "mayu tuned": 0.4}
    store.cells["latency-idle"] = {row: Cell([{"start_p50_ms": delay}]) for row, delay in delays.items()}
    [row] = [line for line in summary(store, NOWHERE) if "start, p50" in line and "Idle" in line]
    assert row.startswith(
        "| ✗ ◀ Idle worker: start, p50 ms | **0.5** | **0.9** | 0.6 huey tuned | **0.4 mayu"
    )
    assert "≤ 0.7 streams: 0.5; **≤ 0.7 lists: 0.9 ✗**" in row
    assert "**≤ 1 of the quickest peer's, streams: 1.25 ✗**" in row


def test_what_was_not_measured_has_no_line(store: Store) -> None:
    assert [line.partition(",")[0] for line in summary(store, NOWHERE)[2:]] == ["| ✗ ◀ No-op async jobs"]


def test_the_best_is_none_where_nobody_was_measured(store: Store) -> None:
    store.cells["drain-1"]["BullMQ tuned"] = Cell(failed="it never ended")
    assert best_of(store, "drain-1", "jobs_per_s", "node", "more") is None
    assert best_of(store, "drain-1", "jobs_per_s", "python", "less") == ("saq default", 2_000)


def test_of_recoveries_only_whole_ones_count(tmp_path: Path) -> None:
    told = {
        "rows": [
            {"queue": "homing", "configuration": "streams", "runs": [run("child", s) for s in (0.1, 0.2, 0.3)]},
            {"queue": "homing", "configuration": "lists", "runs": [run("child", s) for s in (0.1, None, 0.3)]},
            {"queue": "rq", "configuration": "tuned", "runs": [run("child", 5.0)]},
            {"queue": "saq", "configuration": "tuned", "runs": [run("child", None)]},
            {"queue": "celery", "configuration": "tuned", "runs": [run("child", 0.01, twice=3)]},
        ]
    }  # fmt: skip
    path = tmp_path / "recovery.json"
    path.write_text(json.dumps(told))
    [row] = summary(Store(), path)[2:]
    assert row == (
        "| ✗ Jobs run again after SIGKILL of a child, s | **0.2** | - | 5 rq tuned | - | - | - | < 1 ✗ |"
    )


@pytest.mark.parametrize(
    ("scenario", "row", "asked"),
    [
        ("drain-1", "saq default", True),
        ("drain-2", "saq default", False),
        ("drain-2", "saq tuned", True),
        ("cpu", "rq default", True),
        ("cpu", "rq tuned", False),
        ("server", "saq tuned", False),
        ("server", "loop streams-async tuned", True),
        ("drain-1", "homing streams 3.13", True),
        ("latency-idle", "homing streams 3.13", False),
        ("depth", "homing lists", True),
        ("depth", "homing lists tuned", False),
    ],
)
def test_a_scenario_says_whom_it_asks(scenario: str, row: str, asked: bool) -> None:
    [setup] = [each for each in (*HOMING, *LOOPS, *PEERS) if each.row == row]
    assert (SCENARIOS[scenario].refuses(setup) == "") is asked


def test_every_queue_has_a_configuration_that_is_tuned() -> None:
    queues = {each.queue for each in PEERS}
    assert {each.queue for each in PEERS if each.tuned} == queues
    assert {each.queue for each in PEERS if not each.tuned} == queues


def test_a_plan_counts_the_runs_that_are_missing() -> None:
    peers = [each for each in PEERS if each.queue == "huey"]
    store = Store(cells={"drain-1": {"huey tuned": drained(1, 2)}})
    bench = Bench(
        [HOMING[0], *peers], [SCENARIOS["drain-1"]], store, NOWHERE, NOWHERE, 1.5, runs=5, peer_runs=3
    )
    assert next(bench.plan()).split()[:2] == ["drain-1", "9"]


@pytest.mark.parametrize(("failures", "kept"), [(1, 3), (2, 0)])
def test_a_run_that_fails_is_tried_once_more_and_then_given_up(
    failures: int, kept: int, tmp_path: Path
) -> None:
    left = [RuntimeError("it broke")] * failures

    def measure(run: Run) -> dict[str, float]:
        if left:
            raise left.pop()
        return {"jobs_per_s": 1.0}

    scenario = replace(SCENARIOS["drain-1"], measure=measure)
    store, data = Store(), tmp_path / "data.json"
    Bench([HOMING[0]], [scenario], store, data, tmp_path, 1.5, runs=3, peer_runs=0).run()
    cell = Store.load(data).cells["drain-1"]["homing streams"]
    assert (len(cell.runs), cell.failed) == (kept, "" if kept else "RuntimeError: it broke")


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("engines/answers.py:claimed", "decode"),
        ("worker/desk.py:opened", "arguments"),
        ("worker/desk.py:returned", "settle"),
        ("worker/executor.py:_slot", "dispatch"),
        ("engines/scripted.py:settle", "settle"),
        ("engines/scripted.py:claim", "batch, send, receive"),
        ("worker/anything.py:else", "dispatch"),
        ("delivery/heart.py:beat", "leases"),
        ("peers/witness.py:nothing", "run"),
        ("loop", "loop, other"),
    ],
)
def test_a_function_of_a_worker_belongs_to_a_stage(name: str, stage: str) -> None:
    assert stage_of(name, WORKER) == stage


def test_a_function_of_a_producer_belongs_to_a_stage() -> None:
    found = [
        stage_of(name, PRODUCER)
        for name in ("codec.py:to_json", "engines/scripted.py:enqueue", "client.py:run", "x")
    ]
    assert found == ["encode", "batch", "send, receive", "call"]


def test_a_look_names_the_innermost_function_of_homing_or_of_the_benchmark() -> None:
    package, bench = Path(homing.__file__).parent, Path(sampling.__file__).parent
    looks: dict[str, Any] = {}
    for file, calls in (
        (package / "worker" / "slots.py", "_slot"),
        (bench / "peers" / "witness.py", "nothing"),
        (bench / "peers" / "producer.py", "_fill"),
        (Path("/usr/lib/python3/json/encoder.py"), "encode"),
    ):
        exec(compile(f"def {calls}(inner): return inner()", str(file), "exec"), looks)

    def seen(*calls: str) -> tuple[str, bool]:
        inner: Callable[[], tuple[str, bool]] = lambda: sampling._where(sys._getframe())  # noqa: E731
        for name in reversed(calls):
            inner = partial(looks[name], inner)
        return inner()

    assert seen("_slot", "nothing") == ("peers/witness.py:nothing", False)
    assert seen("_slot", "encode") == ("worker/slots.py:_slot", False)
    assert seen("_fill", "_slot") == ("worker/slots.py:_slot", True)
    assert seen("encode") == ("loop", False)
