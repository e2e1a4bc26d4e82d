"""docs/benchmarks.md and its plots, from the raw figures: `python -m benchmarks write`."""

from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.bounds import Verdict, verdicts
from benchmarks.hotpath import section
from benchmarks.plots import THEMES, Line, Point, Theme, dots, lines
from benchmarks.scenarios import SCENARIOS, Scenario
from benchmarks.scenarios.depth import DEPTHS
from benchmarks.store import Cell, Store
from benchmarks.summary import MISSED, summary
from benchmarks.tables import BETTER, losses, number, python_of, rank, table, versions

PLOTS = "images/benchmarks"
#: Scenario.peers -> what a reader should know of it.
_ASKED = {
    "all": (),
    "tuned": ("Of peers only the rows tuned for speed are asked, and those that can do this at all.", ""),
    "default": ("Of peers only the rows at their defaults are asked: what is tuned elsewhere does not help here.", ""),
    "none": ("No peer is asked.", ""),
}  # fmt: skip
_LEGEND = (
    f"Medians; *best* is the best row of that kind of peer in this run, whatever its configuration. {MISSED} marks what homing",
    f"wanted and does not reach, {BETTER} where a peer is ahead of homing on streams at its defaults. What is wanted is judged run",
    "by run, each run divided by the one beside it: it may differ a little from the ratio of the medians shown.",
)


def write(store: Store, docs: Path) -> None:
    """Writes `benchmarks.md` and what it shows below `docs`; plots that it shows no more are deleted."""
    folder = docs / PLOTS
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.svg"):
        old.unlink()
    for name, draw in plots(store).items():
        for theme, colors in THEMES.items():
            (folder / f"{name}-{theme}.svg").write_text(draw(colors))
    (docs / "benchmarks.md").write_text("\n".join([*_page(store, docs), ""]))


def plots(store: Store) -> dict[str, Callable[[Theme], str]]:
    """Scenario -> what draws it, for those that were measured."""
    found: dict[str, Callable[[Theme], str]] = {}
    for scenario in SCENARIOS.values():
        points = _points(scenario, store)
        if len(points) > 1 and scenario.name != "depth":
            found[scenario.name] = _dotted(scenario, points)
    every = [_depths(row, cell) for row, cell in store.measured("depth") if cell.runs]
    if every:
        found["depth"] = lambda theme: lines(
            "A job's cost to the server, by how many others wait",
            "jobs that wait",
            "server µs a job",
            every,
            theme,
        )
    return found


def _dotted(scenario: Scenario, points: list[Point]) -> Callable[[Theme], str]:
    unit = f"{scenario.unit}, {scenario.better} is better"
    return lambda theme: dots(scenario.title, unit, points, theme)


def _points(scenario: Scenario, store: Store) -> list[Point]:
    """The best row first. A logarithmic axis has no place for what is not above 0."""
    cells = [(row, cell) for row, cell in store.measured(scenario.name) if cell.runs]
    found = []
    for row, cell in sorted(cells, key=lambda each: rank(scenario, each[1])):
        values = cell.values(scenario.figure)
        median = cell.median(scenario.figure)
        if median is not None and min(values) > 0:
            queue = store.rows[row].queue
            kind = "ours" if queue == "homing" else queue if queue == "loop" else "peer"
            found.append(Point(row, kind, median, min(values), max(values)))
    return found


def _depths(row: str, cell: Cell) -> Line:
    points = [
        (float(depth), cost) for depth in DEPTHS if (cost := cell.median(f"server_us_at_{depth}")) is not None
    ]
    return Line(row, "ours" if "streams" in row else "peer", points)


def _page(store: Store, docs: Path) -> Iterator[str]:
    yield from _introduction(store)
    shown = summary(store, docs / "data" / "recovery.json")
    if shown:
        yield from ["", "## What homing must show", "", *_LEGEND, "", *shown]
    judged = verdicts(store)
    if judged:
        yield from [
            "",
            "## Each bound, run by run",
            "",
            "| | measured | runs from-to | wanted | |",
            "| --- | --- | --- | --- | --- |",
        ]
        yield from (_verdict(each) for each in judged)
    yield from ["", "## Where homing loses", ""]
    yield from (
        f"- Wanted and not reached: {each.said}: {number(each.median)}, wanted {_limit(each)}"
        for each in judged
        if not each.kept
    )
    behind = list(losses(SCENARIOS.values(), store))
    yield from behind or ["In none of these scenarios is a peer ahead of homing at its defaults."]
    for scenario in SCENARIOS.values():
        yield from _section(scenario, store)
    yield from section(docs / "data" / "hotpath.json")
    yield from _notes(store)


def _sessions(store: Store) -> Iterator[str]:
    """What a reader must know of figures that are not of one run."""
    if len(store.sessions) > 1:
        yield (
            f"- It was measured in {len(store.sessions)} sessions, the first begun on {store.sessions[0]['began']}:"
            " of each row and"
        )
        yield "  scenario the last one counts. So a row may be of other hours, and of an earlier homing, than the one beside"
        yield "  it, and their ratio says less than that of two rows which took turns."


def _introduction(store: Store) -> Iterator[str]:
    last = {
        "began": "?",
        "cores": "?",
        "processor": "?",
        "load": "?",
        "server": "?",
        "python": "?",
        "homing": "?",
    }
    last |= store.sessions[-1] if store.sessions else {}
    machine = "{cores} cores ({processor}), load {load} at the start, {server} on loopback, ".format(**last)
    yield from [
        "# How fast homing is, and what it costs",
        "",
        f"Written by `python -m benchmarks write`; measured by `make bench`, last begun on {last['began']}:",
        machine + "CPython {python}, homing {homing}.".format(**last),
        "The raw figures are in [data/benchmarks.json](data/benchmarks.json); what is set in a row stands at the end.",
        "",
        "- Each run has a server, a worker and producers of its own; those of one scenario take turns, so that a noisy",
        "  minute disturbs all rows alike. A figure is the median of its runs, with the least, the most and their number.",
        "- Every run checks that each job ran and that the server holds none afterwards (an enqueue: that it holds all).",
        *_sessions(store),
        "- *loop* rows are hand-written loops without any of a queue's promises: no lease, no fence, no retry.",
        "  *streams-async plain* is what one writes after redis-py's documentation, and what homing is measured against:",
        "  it is the queue that a program would have without one. *streams-async tuned* is the same with everything left",
        "  out that a loop can do without; it shows what Python and the server allow, and the first table tells how far",
        "  homing stays below it.",
        "- *default* is what a queue does by itself, *tuned* the best that its documentation offers for speed.",
        "- *Server µs* is processor time of the server over the whole life of a job, its enqueue included; *flights* are",
        "  reads from the server's sockets: what arrives together counts once.",
        "- A queue with calls for plain programs and for coroutines is asked for its delays by the former, others by",
        "  the one that they have.",
        f"- {BETTER} marks a peer that is ahead of homing at its defaults.",
        "",
        "How long it takes until the jobs of a killed worker run again: [recovery.md](recovery.md).",
    ]  # fmt: skip


def _verdict(verdict: Verdict) -> str:
    kept = "kept" if verdict.kept else "**NOT KEPT**"
    spread = f"{number(verdict.least)}-{number(verdict.most)}"
    return f"| {verdict.said} | {number(verdict.median)} | {spread} | {_limit(verdict)} | {kept} |"


def _limit(verdict: Verdict) -> str:
    return f"{'≥' if verdict.sense == 'least' else '≤'} {number(verdict.limit)}"


def _section(scenario: Scenario, store: Store) -> Iterator[str]:
    rows = table(scenario, store)
    if not rows:
        return
    yield from ["", f"## {scenario.title}", "", *_ASKED[scenario.peers]]
    if scenario.name in plots(store):
        yield from [
            "<picture>",
            f'  <source media="(prefers-color-scheme: dark)" srcset="{PLOTS}/{scenario.name}-dark.svg">',
            f'  <img alt="{scenario.title}: the table below as a picture" src="{PLOTS}/{scenario.name}-light.svg">',
            "</picture>",
            "",
        ]
    yield from rows


def _notes(store: Store) -> Iterator[str]:
    yield from ["", "## What was set", ""]
    here = store.sessions[-1].get("python", "") if store.sessions else ""
    for row in store.rows.values():
        version, python = versions(row), python_of(row)
        named = f"{row.queue} {version}".strip()
        newer = "" if python in {"", here} else f", CPython {python}"
        yield f"- **{named}, {row.name}{newer}**: {row.said}." + (f" {row.remark}" if row.remark else "")
    missing = [f"- {row.queue}, {row.name}: {row.absent}" for row in store.rows.values() if row.absent]
    missing += [
        f"- {SCENARIOS[scenario].title}, {row}: {cell.failed}"
        for scenario, cells in store.cells.items()
        if scenario in SCENARIOS
        for row, cell in cells.items()
        if cell.failed
    ]
    if missing:
        yield from ["", "## Not measured", "", *missing]
