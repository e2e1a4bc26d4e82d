"""docs/benchmarks.md and its pictures, drawn from a few figures."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from benchmarks.bounds import verdicts
from benchmarks.page import write
from benchmarks.plots import THEMES
from benchmarks.quick import tell
from benchmarks.store import Cell, Row, Store


def figures(*rates: float) -> Cell:
    return Cell([{"jobs_per_s": rate, "server_us_per_job": 20.0, "cores_busy": 1.9} for rate in rates])


@pytest.fixture
def store() -> Store:
    return Store(
        sessions=[
            {"began": "2026-01-02 03:04 UTC", "cores": 2, "server": "Valkey 9.1.2", "python": "3.11.7"}
        ],
        rows={
            "homing streams": Row("homing", "streams", ["homing==0.1.0"], "defaults"),
            "loop streams-async plain": Row("loop", "streams-async plain", [], "a Task per job"),
            "slow default": Row("slow", "default", ["slow==1.5", "redis==8.1.0"], "as it is", "It sleeps."),
            "swift tuned": Row("swift", "tuned", ["swift==3.0"], "all of it"),
            "BullMQ tuned": Row("BullMQ", "tuned", ["bullmq@6.7.0", "node v20.1.0"], "100 at once"),
            "ardiq tuned": Row("ardiq", "tuned", ["ardiq==1.2.0", "CPython==3.12.1"], "1,000 at once"),
            "gone default": Row(
                "gone", "default", absent="its wheels need Python 3.13, and there is none here"
            ),
        },
        cells={
            "drain-1": {
                "homing streams": figures(50_000, 55_000, 40_000),
                "loop streams-async plain": figures(100_000, 100_000, 100_000),
                "slow default": figures(1_000, 3_000, 2_000),
                "swift tuned": figures(60_000, 61_000, 59_000),
            },
            "enqueue-sync": {"slow default": Cell(failed="TimeoutError: nobody answered")},
            "depth": {
                "homing streams": Cell(
                    [{"server_us_at_1000": 20.0, "server_us_at_1000000": 22.0, "ratio": 1.1, "depth": 1e6}]
                )
            },
        },
    )


def test_a_page_of_more_than_one_session_says_so(store: Store, tmp_path: Path) -> None:
    said = "- It was measured in 2 sessions, the first begun on 2026-01-02 03:04 UTC:"
    write(store, tmp_path)
    assert said not in (tmp_path / "benchmarks.md").read_text()
    store.sessions.append({**store.sessions[0], "began": "2026-01-03 05:00 UTC"})
    write(store, tmp_path)
    page = (tmp_path / "benchmarks.md").read_text()
    assert said in page
    assert "last begun on 2026-01-03 05:00 UTC" in page


def test_the_page_has_each_median_and_its_spread_and_marks_who_is_ahead(store: Store, tmp_path: Path) -> None:
    write(store, tmp_path)
    page = (tmp_path / "benchmarks.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("|") and "(3)" in line]
    assert [row.split(" | ")[:4] for row in rows] == [
        ["| loop", "streams-async plain", "100,000", "100,000-100,000 (3)"],
        ["| **swift**", "**tuned**", "**60,000 ◀**", "**59,000-61,000 (3)**"],
        ["| **homing**", "**streams**", "**50,000**", "**40,000-55,000 (3)**"],
        ["| slow", "default", "2,000", "1,000-3,000 (3)"],
    ]
    assert "- No-op jobs, one process: swift tuned 60,000; homing 50,000 jobs/s" in page
    assert "- gone, default: its wheels need Python 3.13, and there is none here" in page
    assert "- Enqueue one by one, slow default: TimeoutError: nobody answered" in page
    assert "- **slow 1.5, default**: as it is. It sleeps." in page
    assert "- **BullMQ 6.7.0, tuned**: 100 at once." in page
    assert "- **ardiq 1.2.0, tuned, CPython 3.12.1**: 1,000 at once." in page
    assert "(recovery.md)" in page


def test_a_ratio_is_judged_run_by_run(store: Store) -> None:
    found = {verdict.name: verdict for verdict in verdicts(store)}
    ratio = found["drain_streams"]
    assert (ratio.median, ratio.least, ratio.most, ratio.kept) == (0.5, 0.4, 0.55, False)
    assert found["peers_python"].median == pytest.approx(50_000 / 60_000)
    assert found["depth_streams"].kept


def test_two_processes_may_fill_the_cores_instead(store: Store) -> None:
    store.cells["drain-2"] = {"homing streams": figures(60_000, 60_000, 60_000)}
    [verdict] = [each for each in verdicts(store) if each.name == "two_streams"]
    assert (verdict.median, verdict.limit, verdict.kept) == (1.9, 1.8, True)
    for run in store.cells["drain-2"]["homing streams"].runs:
        run["cores_busy"] = 1.2
    [verdict] = [each for each in verdicts(store) if each.name == "two_streams"]
    assert (verdict.limit, verdict.kept) == (1.6, False)
    # What they do behind a server that is put before all others is shown beside, and does not count.
    store.cells["drain-2-first"] = {"homing streams": figures(60_000, 60_000, 60_000)}
    assert verdict in verdicts(store)


def test_every_picture_that_the_page_shows_is_drawn_for_both_grounds(store: Store, tmp_path: Path) -> None:
    old = tmp_path / "images" / "benchmarks" / "forgotten-light.svg"
    old.parent.mkdir(parents=True)
    old.write_text("<svg/>")
    write(store, tmp_path)
    page = (tmp_path / "benchmarks.md").read_text()
    drawn = {path.relative_to(tmp_path).as_posix(): path for path in tmp_path.rglob("*.svg")}
    assert set(drawn) == {
        f"images/benchmarks/{name}-{theme}.svg" for name in ("drain-1", "depth") for theme in THEMES
    }
    for name, path in drawn.items():
        assert name in page
        assert ET.parse(path).getroot().get("viewBox")
    words = [text.text for text in ET.parse(drawn["images/benchmarks/drain-1-light.svg"]).iter() if text.text]
    assert "swift tuned" in words
    assert "60k" in words


@pytest.mark.parametrize(("rate", "code"), [(54_000, 1), (56_000, 0)])
def test_the_quick_benchmark_fails_by_a_ratio_and_says_so_in_its_last_line(
    rate: float, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = {"homing streams": figures(rate), "loop streams-async plain": figures(100_000)}
    assert tell(Store(sessions=[{"load": 0.5}], cells={"drain-1": cells}), turns=1, seconds=2.0) == code
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["kept"] == (code == 0)
    assert told["rates"] == {"drain-1": {"homing streams": rate, "loop streams-async plain": 100_000}}
    assert told["ratios"]["drain_streams"] == {
        "median": rate / 100_000, "least": rate / 100_000, "most": rate / 100_000, "at_least": 0.55, "kept": code == 0,
    }  # fmt: skip


def test_a_run_that_failed_fails_the_quick_benchmark(capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(sessions=[{"load": 0.5}], cells={"drain-1": {"homing streams": Cell(failed="it broke")}})
    assert tell(store, turns=1, seconds=2.0) == 1
    assert json.loads(capsys.readouterr().out)["failed"] == ["drain-1, homing streams: it broke"]


def test_a_try_out_is_not_held_against_a_bound_that_speaks_of_more(store: Store) -> None:
    store.cells["depth"]["homing streams"].runs[0]["depth"] = 10_000
    assert "depth_streams" not in {verdict.name for verdict in verdicts(store)}


def test_figures_survive_the_disk(store: Store, tmp_path: Path) -> None:
    store.save(tmp_path / "data" / "some.json")
    assert Store.load(tmp_path / "data" / "some.json") == store
