"""The results as a page: a line for each row, and a picture of faults and throughput over time."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path

from chaos.play import Result
from chaos.rows import ROWS

WIDTH, HEIGHT = 900, 120
#: The place of the table in the docs, and what of a result is for the picture alone.
BEGIN, END = "<!-- the table begins -->", "<!-- the table ends -->"
PICTURE = frozenset({"ended", "struck", "columns_s"})
_STYLE = """
:root { color-scheme: light dark; --ink: #222; --bar: #3a7; --fault: #d33; --paper: #fff; }
@media (prefers-color-scheme: dark) { :root { --ink: #ddd; --bar: #5c9; --fault: #f66; --paper: #181818; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem auto;
  max-width: 60rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; } td, th { padding: .2rem .6rem; text-align: right; }
td:first-child, th:first-child, td:nth-child(2), th:nth-child(2) { text-align: left; }
tr.bad td { color: var(--fault); } svg { width: 100%; height: auto; }
.bars { fill: var(--bar); } .faults { fill: var(--fault); opacity: .35; } pre { white-space: pre-wrap; }
"""


def write_page(results: Sequence[Result], path: Path) -> None:
    rows = "".join(_line(one) for one in results)
    pictures = "".join(_section(one) for one in results)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"<!doctype html><html lang=en><meta charset=utf-8><title>homing under attack</title>"
        f"<style>{_STYLE}</style><h1>homing under attack</h1><table><tr><th>row<th>what<th>engine<th>jobs"
        f"<th>lost<th>extra runs<th>stale ends<th>seconds<th>seed</tr>{rows}</table>{pictures}</html>",
        encoding="utf-8",
    )


def _line(one: Result) -> str:
    counts = one.counts
    cells = [
        one.row, _title(one), one.engine, f"{counts.get('enqueued', 0):,}", _lost(counts),
        f"{counts.get('extra runs', 0):,}", f"{counts.get('stale ends', 0):,}", f"{one.seconds:.0f}", str(one.seed),
    ]  # fmt: skip
    shown = "".join(f"<td>{escape(cell)}" for cell in cells)
    return f"<tr{'' if one.good else ' class=bad'}>{shown}</tr>"


def _title(one: Result) -> str:
    return f"{one.title} (not played: {one.not_played})" if one.not_played else one.title


def _lost(counts: Mapping[str, int]) -> str:
    """What was lost, and what could not be helped: it was acknowledged within a second of a failover."""
    window = counts.get("lost in the window", 0)
    return f"{counts.get('lost', 0):,}" + (f" (and {window:,} in the window)" if window else "")


def _section(one: Result) -> str:
    faults = ", ".join(f"{count:,} {name}" for name, count in one.faults.items())
    wrong = "\n".join(f"{name}: {text}" for name, texts in one.violations.items() for text in texts)
    wrong += "".join(f"\nasked: {text}" for text in one.unmet)
    return (
        f"<h2>{escape(one.row)} on {escape(one.engine)}</h2><p>{escape(faults)}</p>{picture(one)}"
        f"<pre>{escape(wrong)}</pre>"
    )


def publish(results: Sequence[Result], docs: Path) -> None:
    """Put the table into reliability.md, between its two marks, and what it sums up beside it."""
    path = docs / "reliability.md"
    before, mark, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not mark or not end:
        raise ValueError(f"{path} has no place for the table, between {BEGIN} and {END}")
    path.write_text(f"{before}{BEGIN}\n{table(results)}\n{END}{after}", encoding="utf-8")
    raw = [{name: value for name, value in asdict(one).items() if name not in PICTURE} for one in results]
    (docs / "data").mkdir(exist_ok=True)
    (docs / "data" / "chaos.json").write_text(json.dumps(raw, indent=0) + "\n", encoding="utf-8")


def table(results: Sequence[Result]) -> str:
    """The sum of all parts, a line for each row and engine, as Markdown."""
    groups: dict[tuple[str, str], list[Result]] = {}
    for one in results:
        groups.setdefault((one.row, one.engine), []).append(one)
    order = {row: at for at, row in enumerate(dict.fromkeys(row.name for row in ROWS))}
    lines = [
        "| row | what | engine | faults | jobs | lost | extra runs | stale ends | slowest recovery | seeds |",
        "|---|---|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    for (row, engine), parts in sorted(
        groups.items(), key=lambda item: (order.get(item[0][0], 99), item[0][1])
    ):
        total: Counter[str] = Counter()
        for one in parts:
            total.update(
                {name: count for name, count in one.counts.items() if not name.startswith("slowest")}
            )
        judged = sum(one.counts.get("recoveries", 0) for one in parts)
        slowest = max(one.counts.get("slowest recovery ms", 0) for one in parts)
        struck = sum(sum(one.faults.values()) for one in parts)
        seeds = sorted(one.seed for one in parts)
        shown = f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else str(seeds[0])
        lines.append(
            f"| {row} | {parts[0].title} | {engine} | {struck:,} | {total['enqueued']:,} | {_lost(total)} | "
            f"{total['extra runs']:,} | {total['stale ends']:,} | {f'{slowest / 1000:.1f} s' if judged else 'not judged'} | {shown} |"
        )
    return "\n".join(lines)


def picture(one: Result) -> str:
    """Jobs ended over time as bars, faults as shades behind them."""
    if not one.ended:
        return ""
    seconds = max(len(one.ended) * one.columns_s, max((end for _, end, _ in one.struck), default=0.0))
    highest = max(one.ended) or 1
    step = WIDTH * one.columns_s / seconds
    bars = "".join(
        f'<rect x="{at * step:.1f}" y="{HEIGHT * (1 - count / highest):.1f}" width="{max(step, 0.5):.2f}" '
        f'height="{HEIGHT * count / highest:.1f}"/>'
        for at, count in enumerate(one.ended)
        if count
    )
    faults = "".join(
        f'<rect x="{WIDTH * begin / seconds:.1f}" y="0" width="{max(WIDTH * (end - begin) / seconds, 0.8):.1f}" '
        f'height="{HEIGHT}"><title>{escape(name)} at {begin:.1f} s</title></rect>'
        for begin, end, name in one.struck
    )
    most = f"{highest / one.columns_s:,.0f} jobs/s at most, {seconds:.0f} s"
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT + 18}" role="img" aria-label="{most}"><g class="faults">{faults}</g>'
        f'<g class="bars">{bars}</g><text x="0" y="{HEIGHT + 14}" font-size="12" fill="currentColor">{most}</text></svg>'
    )
