"""Pictures of the figures, as SVG: a point and its spread for each row on a logarithmic axis, or a line for each.

No library: what they need is a dozen elements. Each is drawn twice, for pages with a light and with a dark ground.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True, slots=True)
class Theme:
    ground: str
    ink: str
    faint: str
    grid: str
    ours: str
    loop: str
    peer: str


THEMES = {
    "light": Theme("#ffffff", "#1f2328", "#59636e", "#e3e7eb", "#c2410c", "#6b7280", "#2563eb"),
    "dark": Theme("#0d1117", "#e6edf3", "#9198a1", "#262c36", "#fb923c", "#9ca3af", "#60a5fa"),
}
WIDTH, LABELS, VALUES, TOP, ROW, FOOT = 760, 190, 90, 44, 22, 34
HEIGHT_OF_LINES = 320


@dataclass(frozen=True, slots=True)
class Point:
    """A row's median, with the least and the most of its runs. `kind` is "ours", "loop" or "peer"."""

    label: str
    kind: str
    median: float
    least: float
    most: float


@dataclass(frozen=True, slots=True)
class Line:
    label: str
    kind: str
    points: Sequence[tuple[float, float]]


def dots(title: str, unit: str, points: Sequence[Point], theme: Theme) -> str:
    """A row for each point, in the order given."""
    low, high = _decades([value for point in points for value in (point.least, point.most)])
    height = TOP + ROW * len(points) + FOOT

    def x(value: float) -> float:
        return LABELS + (WIDTH - LABELS - VALUES) * (math.log10(value) - low) / (high - low)

    body = [_text(16, 24, title, theme.ink, size=15, weight=600)]
    for power in range(low, math.floor(high) + 1):
        at = x(10.0**power)
        body.append(_stroke(at, TOP - 6, at, height - FOOT, theme.grid))
        body.append(_text(at, height - FOOT + 18, _short(10.0**power), theme.faint, anchor="middle"))
    body.append(_text(WIDTH - 16, 24, unit, theme.faint, anchor="end"))
    for number, point in enumerate(points):
        y, color = TOP + ROW * number + ROW / 2, getattr(theme, point.kind)
        weight = 600 if point.kind == "ours" else 400
        body.append(_text(LABELS - 12, y + 4, point.label, theme.ink, anchor="end", weight=weight))
        body.append(_stroke(x(point.least), y, x(point.most), y, color, width=3))
        body.append(f'<circle cx="{x(point.median):.1f}" cy="{y:.1f}" r="4.5" fill="{color}"/>')
        body.append(_text(WIDTH - 16, y + 4, _short(point.median), theme.ink, anchor="end", weight=weight))
    return _document(height, body, theme, title)


def lines(title: str, across: str, up: str, every: Sequence[Line], theme: Theme) -> str:
    """Lines over a logarithmic axis, their values on a linear one from 0."""
    left, right, bottom = 64.0, WIDTH - 150.0, HEIGHT_OF_LINES - 44.0
    low, high = _decades([at for line in every for at, _ in line.points])
    most = 1.15 * max(value for line in every for _, value in line.points)

    def x(value: float) -> float:
        return left + (right - left) * (math.log10(value) - low) / (high - low)

    def y(value: float) -> float:
        return bottom - (bottom - TOP) * value / most

    body = [_text(16, 24, title, theme.ink, size=15, weight=600)]
    body += [
        _text(x(10.0**power), bottom + 18, _short(10.0**power), theme.faint, anchor="middle")
        for power in range(low, math.floor(high) + 1)
    ]
    step = _step(most)
    for number in range(int(most / step) + 1):
        body.append(_stroke(left, y(number * step), right, y(number * step), theme.grid))
        body.append(_text(left - 8, y(number * step) + 4, f"{number * step:g}", theme.faint, anchor="end"))
    body.append(_text(left, bottom + 36, across, theme.faint))
    body.append(_text(right, TOP - 10, up, theme.faint, anchor="end"))
    for line in every:
        color = getattr(theme, line.kind)
        path = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in line.points)
        body.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>')
        body += [
            f'<circle cx="{x(at):.1f}" cy="{y(value):.1f}" r="4" fill="{color}"/>'
            for at, value in line.points
        ]
        at, value = line.points[-1]
        body.append(_text(x(at) + 10, y(value) + 4, line.label, theme.ink))
    return _document(HEIGHT_OF_LINES, body, theme, title)


def _document(height: float, body: Iterable[str], theme: Theme, title: str) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img" '
        f'aria-label="{escape(title)}" font-family="system-ui, sans-serif">'
    )
    ground = f'<rect width="{WIDTH}" height="{height:.0f}" fill="{theme.ground}"/>'
    return "\n".join([head, ground, *body, "</svg>", ""])


def _text(
    x: float, y: float, words: str, color: str, *, anchor: str = "start", size: int = 12, weight: int = 400
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{color}" font-size="{size}" font-weight="{weight}" '
        f'text-anchor="{anchor}">{escape(words)}</text>'
    )


def _stroke(x: float, y: float, to_x: float, to_y: float, color: str, *, width: float = 1) -> str:
    return (
        f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}" stroke="{color}" '
        f'stroke-width="{width:g}" stroke-linecap="round"/>'
    )


def _decades(values: Sequence[float]) -> tuple[int, float]:
    """From the power of ten below these to a little above the greatest, one decade at least; all must be above 0."""
    low = math.floor(math.log10(min(values)))
    return low, max(math.log10(max(values)) + 0.03, low + 1.0)


def _step(most: float) -> float:
    """A round step that makes four to nine of them."""
    power = 10.0 ** math.floor(math.log10(most))
    return next((power * part for part in (0.1, 0.2, 0.5, 1) if most / (power * part) <= 9), power)


def _short(value: float) -> str:
    for size, word in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{word}"
    return f"{value:.3g}"
