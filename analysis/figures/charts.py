"""The report's charts. Each is as wide as its container: shapes are stretched, texts are not.

Dots are lines of no length with round ends, and strokes do not scale, so that stretching leaves
both as they are; a thousand dots are one path.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from ..model.intervals import Int64
from .palette import DASHES, SERIES
from .svg import label, nudged, num, percent, safe, tag, ticks
from .timeline import num_plain
from .units import human, unit_of

UNITS = 1000
"""Width and height of a stretched drawing in its own units."""
MOST_POINTS = 1200
"""Points of one path; beyond, the largest of each group of steps stands for it."""


class Axis(Struct, frozen=True):
    """A linear axis over `[low, high]`, ns or a count, with its ticks in one unit."""

    low: float
    high: float
    unit: str
    scale: float
    ticks: tuple[float, ...]

    @classmethod
    def of_time(cls, low: float, high: float, about: int = 5) -> Axis:
        """Durations; the unit fits the upper end."""
        high = high if high > low else low + 1
        unit, scale = unit_of(high)
        return cls(low, high, unit, scale, tuple(ticks(low / scale, high / scale, about)))

    @classmethod
    def of_number(cls, low: float, high: float, about: int = 6, unit: str = "") -> Axis:
        """Whole numbers, such as step numbers."""
        high = high if high > low else low + 1
        whole = [t for t in ticks(low, high, about) if t == int(t)]
        return cls(low, high, unit, 1.0, tuple(whole))

    def at(self, value: float) -> float:
        """Position as a share of the axis, clipped to it."""
        return min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)

    def shown(self, tick: float) -> str:
        return f"{num_plain(tick)} {self.unit}".strip()


def segments(parts: Sequence[tuple[str, str, float]], scale: float, name: str) -> str:
    """One stacked bar: (tone, title, ns) from left to right; `scale` ns are the whole width.

    `name`: the bar in words, for assistive technology.
    """
    shapes, left = [], 0.0
    for tone, title, ns in parts:
        if ns <= 0:
            continue
        width = ns / scale
        text = f"{title} {human(ns)}"
        shapes.append(
            tag(
                "rect",
                tag("title", safe(text)),
                x=percent(left),
                width=percent(max(width, 0.001)),
                height="100%",
                class_=f"t-{tone} seg",
                data_tip=text,
            )
        )
        if width >= 0.09:
            inner = label(title, 6, "50%", class_=f"name on-{tone}", dominant_baseline="central")
            shapes.append(
                tag(
                    "svg",
                    inner,
                    x=percent(left),
                    width=percent(width),
                    height="100%",
                    class_="nohit",
                )
            )
        left += width
    return tag("svg", *shapes, class_="bar", role="img", aria_label=name, width="100%", height=26)


def ridge(values: Int64, axis: Axis, median: float, p95: float, name: str) -> str:
    """A distribution over a common axis, with ticks at its median and its 95th percentile."""
    height, bins = 40.0, 120
    inside = values[(values >= axis.low) & (values <= axis.high)]
    counts, _ = np.histogram(inside, bins=bins, range=(axis.low, axis.high))
    most = max(int(counts.max(initial=0)), 1)
    points = [f"M0 {UNITS}"]
    for k, count in enumerate(counts.tolist()):
        y = num(UNITS * (1 - 0.94 * count / most), 0)
        points.append(f"L{num(UNITS * k / bins, 1)} {y}H{num(UNITS * (k + 1) / bins, 1)}")
    points.append(f"V{UNITS}z")
    shape = tag("path", d="".join(points), class_="ridge")
    parts = [
        *_grid_x(axis),
        _stretched(shape, height),
        tag("line", x1="0", x2="100%", y1=height - 0.5, y2=height - 0.5, class_="rule"),
    ]
    for value, style in ((p95, "mark p95"), (median, "mark")):
        at = percent(axis.at(value))
        parts.append(tag("line", x1=at, x2=at, y1=2, y2=height, class_=style))
    beyond = int(np.count_nonzero(values > axis.high))
    if beyond:
        text = f"+{beyond} beyond, up to {human(int(values.max()))} →"
        parts.append(label(text, "100%", 12, class_="tick", text_anchor="end"))
    return tag("svg", *parts, role="img", aria_label=name, width="100%", height=height)


def x_axis(axis: Axis, height: float = 18) -> str:
    """Tick labels under a chart."""
    parts = []
    for tick in axis.ticks:
        at = axis.at(tick * axis.scale)
        anchor = "start" if at < 0.03 else "end" if at > 0.95 else "middle"
        parts.append(label(axis.shown(tick), percent(at), 13, class_="tick", text_anchor=anchor))
    return tag("svg", *parts, class_="x", aria_hidden="true", width="100%", height=height)


def y_axis(axis: Axis, height: float, width: float = 58) -> str:
    """Tick labels left of a chart."""
    parts = [
        label(
            axis.shown(tick),
            width - 6,
            min(max(height * (1 - axis.at(tick * axis.scale)) + 4, 10), height - 1),
            class_="tick",
            text_anchor="end",
        )
        for tick in axis.ticks
    ]
    return tag("svg", *parts, class_="y", aria_hidden="true", width=width, height=height)


class Points(Struct, frozen=True):
    """What a dot chart shows of each step, thinned: for the drawing and for what hovers over it."""

    number: Int64
    value: Int64
    rows: Int64
    """Positions among the steps given."""
    each: int
    """How many steps one point stands for, at most."""


def thinned(number: Int64, value: Int64, most: int = MOST_POINTS) -> Points:
    """At most `most` points: of each group of neighbours the one with the largest value."""
    n = len(number)
    if n <= most:
        return Points(number, value, np.arange(n), 1)
    each = -(-n // most)
    heads = np.arange(0, n, each)
    best = np.array([int(h + np.argmax(value[h : h + each])) for h in heads.tolist()], np.int64)
    return Points(number[best], value[best], best, each)


def dots(points: Points, x: Axis, y: Axis, median: float, name: str, height: float = 120) -> str:
    """Values against step numbers. What lies above the axis is drawn on its upper edge."""
    inside, above = [], []
    for number, value in zip(points.number.tolist(), points.value.tolist(), strict=True):
        at = num(x.at(number) * UNITS, 0)
        if value > y.high:
            above.append(f"M{at} 12h0")
        else:
            inside.append(f"M{at} {num((1 - y.at(value)) * UNITS, 0)}h0")
    few = " few" if len(points.number) <= 120 else ""
    shapes = [tag("path", d="".join(inside), class_=f"dots{few}")] if inside else []
    shapes += [tag("path", d="".join(above), class_="dots above")] if above else []
    middle = f"{num((1 - y.at(median)) * 100)}%"
    parts = [
        *_grid_y(y),
        tag("line", x1="0", x2="100%", y1=middle, y2=middle, class_="median"),
        _stretched("".join(shapes), height),
    ]
    return tag(
        "svg", *parts, class_="plot", role="img", aria_label=name, width="100%", height=height
    )


class Curve(Struct, frozen=True):
    """One line of a line chart: `x` counts, `y` in ns, thinned; `key` is its entry."""

    key: str
    name: str
    x: Int64
    y: Int64
    color: int


def curve_of(key: str, name: str, y: Int64, color: int, most: int = 240) -> Curve:
    """A running total, thinned to `most` points; the last point is kept."""
    rows = np.unique(np.linspace(0, len(y) - 1, min(len(y), most)).astype(np.int64))
    return Curve(key, name, rows + 1, y[rows], color)


def lines(curves: Sequence[Curve], x: Axis, y: Axis, name: str, height: float = 300) -> str:
    """Several running totals."""
    parts = [*_grid_y(y), *_grid_x(x)]
    for curve in curves:
        d = "M0 1000L" + " ".join(
            f"{num(x.at(a) * UNITS, 1)} {num((1 - y.at(b)) * UNITS, 1)}"
            for a, b in zip(curve.x.tolist(), curve.y.tolist(), strict=True)
        )
        tone, dash = curve.color % len(SERIES), curve.color // len(SERIES)
        path = tag(
            "path", d=d, class_=f"curve s-line-{tone}", stroke_dasharray=DASHES[dash % len(DASHES)]
        )
        parts.append(tag("g", _stretched(path, height), data_entry=curve.key))
    return tag(
        "svg", *parts, class_="plot", role="img", aria_label=name, width="100%", height=height
    )


def line_names(curves: Sequence[Curve], y: Axis, height: float = 300) -> str:
    """The lines' last values and names beside their ends."""
    parts = []
    ends = [height * (1 - y.at(int(c.y[-1]))) for c in curves]
    for curve, at in zip(curves, nudged(ends, 15, 8, height - 8), strict=True):
        tone = f"t-line-{curve.color % len(SERIES)}"
        text = f"{human(int(curve.y[-1]))} · {curve.name}"
        parts.append(
            tag(
                "g",
                label(text, 22, at + 4, class_=f"end {tone}"),
                tag("line", x1=3, x2=17, y1=at, y2=at, class_=f"key s-{tone[2:]}",
                    stroke_dasharray=DASHES[curve.color // len(SERIES) % len(DASHES)]),
                data_entry=curve.key,
            )
        )  # fmt: skip
    return tag("svg", *parts, class_="names", aria_hidden="true", width="100%", height=height)


def _grid_x(axis: Axis) -> list[str]:
    return [
        tag("line", x1=percent(at), x2=percent(at), y1="0", y2="100%", class_="grid")
        for at in (axis.at(tick * axis.scale) for tick in axis.ticks)
    ]


def _grid_y(axis: Axis) -> list[str]:
    return [
        tag("line", x1="0", x2="100%", y1=percent(1 - at), y2=percent(1 - at), class_="grid")
        for at in (axis.at(tick * axis.scale) for tick in axis.ticks)
    ]


def _stretched(shapes: str, height: float) -> str:
    return tag(
        "svg", shapes, viewBox=f"0 0 {UNITS} {UNITS}", preserveAspectRatio="none",
        width="100%", height=height, class_="stretch",
    )  # fmt: skip


def upper_end(values: Sequence[Int64], tail: float = 0.99) -> float:
    """Where a common axis ends: at the largest value, or, where a few lie far out, beyond the
    99th percentile of the widest."""
    full = [v for v in values if len(v)]
    if not full:
        return 1.0
    most = max(int(v.max()) for v in full)
    usual = max(float(np.quantile(v, tail)) for v in full)
    middle = max(float(np.quantile(v, 0.75)) for v in full)
    edge = max(usual * 1.15, middle * 1.5)
    return float(most) * 1.04 if most <= edge * 1.6 else edge
