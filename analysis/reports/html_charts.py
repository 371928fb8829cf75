"""The charts that put all series side by side, and what hovers over their points."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import Struct

from ..figures import charts
from ..figures.charts import Axis
from ..figures.units import human, share
from ..idle.causes import causes
from ..model.intervals import Int64
from ..model.text import plain
from ..scenes.entries import Entry

NAME = 60


class Row(Struct, frozen=True):
    """One series in a chart: its key, its name, the drawing, and a note beside it."""

    key: str
    name: str
    drawing: str
    note: str = ""


class Charts(Struct, frozen=True):
    """Every chart; empty where no trace has what it shows."""

    bars: tuple[Row, ...]
    causes: tuple[Row, ...]
    legend: tuple[tuple[str, str, str], ...]
    """(tone, cause, meaning) of the causes that occur."""
    per_step: bool
    """Whether bars are per step; else they are of whole windows."""
    ridges: tuple[Row, ...]
    ridge_axis: str
    dots: tuple[Row, ...]
    lines: str
    lines_y: str
    lines_names: str
    lines_x: str
    data: dict[str, Any]
    """By entry: step numbers, idle and period in ns, main cause; for the script."""


_NOT_BELIEVED = "what the GPU waited for cannot be told from this recording"


def charts_of(entries: Sequence[Entry]) -> Charts:
    """All charts of a report."""
    shown = [e for e in entries if e.believed]
    stepped = [e for e in shown if e.steady is not None]
    bars, split, used = _bars(stepped or shown, per_step=bool(stepped))
    dots, data = _dots(stepped)
    ridges, ridge_axis = _ridges(stepped)
    drawing, y, names, x = _lines(stepped, data)
    meaning = {cause.name: cause.meaning for cause in causes()}
    if any(not e.causes_believed for e in stepped or shown):
        used = [*(name for name in used if name != "unknown"), "unknown"]
        meaning["unknown"] = _NOT_BELIEVED
    legend = tuple((f"cause-{name}", name, meaning[name]) for name in used)
    return Charts(
        bars, split, legend, bool(stepped), ridges, ridge_axis, dots, drawing, y, names, x, data
    )


def _bars(
    entries: Sequence[Entry], *, per_step: bool
) -> tuple[tuple[Row, ...], tuple[Row, ...], list[str]]:
    """Busy and idle to one scale, and idle alone to a larger one."""
    whole: list[tuple[Entry, float, float, dict[str, float]]] = []
    for entry in entries:
        steady = entry.steady
        if per_step and steady is not None:
            whole.append((entry, steady.busy_ns, steady.idle_ns, dict(steady.causes)))
        else:
            device = entry.device
            spent = {name: float(ns) for name, ns in device.causes.items()}
            whole.append((entry, float(device.busy_ns), float(device.idle_ns), spent))
    longest = max((busy + idle for _, busy, idle, _ in whole), default=0) or 1.0
    idlest = max((idle for _, _, idle, _ in whole), default=0) or 1.0
    # One order for all bars, largest first, so that they can be compared.
    sums: Counter[str] = Counter()
    for entry, _, _, spent in whole:
        sums.update(spent if entry.causes_believed else {})
    order = [name for name, ns in sums.most_common() if ns > 0]
    bars, split = [], []
    for entry, busy, idle, spent in whole:
        known = spent if entry.causes_believed else {"unknown": idle}
        names = order if entry.causes_believed else ["unknown"]
        parts = [(f"cause-{name}", name, known[name]) for name in names if known[name] > 0]
        name = plain(entry.title, NAME)
        total = busy + idle
        rate = share(idle / total) if total else "–"
        words = ", ".join(f"{title} {human(ns)}" for _, title, ns in parts)
        what = "step" if per_step else "window"
        told = f"{name}: {what} {human(total)}, busy {human(busy)}, idle {human(idle)} ({rate})"
        bars.append(
            Row(
                entry.key,
                name,
                charts.segments([("busy", "busy", busy), *parts], longest, f"{told}: {words}"),
                human(total),
            )
        )
        split.append(
            Row(
                entry.key,
                name,
                charts.segments(parts, idlest, f"{name}: idle {human(idle)}: {words}"),
                f"{human(idle)} · {rate}",
            )
        )
    return tuple(bars), tuple(split), order


def _interior(entry: Entry) -> tuple[Int64, Int64, Int64, Int64]:
    """(numbers, idle, periods, main cause) of the steady-state steps, and periods may be fewer."""
    figures = entry.figures
    assert figures is not None
    rows = np.flatnonzero(figures.steady)
    main = figures.by_cause[:, rows].argmax(axis=0)
    return figures.number[rows], figures.idle[rows], figures.period[rows], main


def _ridges(entries: Sequence[Entry]) -> tuple[tuple[Row, ...], str]:
    periods = {e.key: _interior(e)[2] for e in entries}
    full = [p for p in periods.values() if len(p)]
    if not full:
        return (), ""
    high = charts.upper_end(full)
    low = min(float(np.quantile(p, 0.01)) for p in full)
    low = 0.0 if low < 0.5 * high else low - 0.04 * (high - low)
    axis = Axis.of_time(low, high, 6)
    rows = []
    for entry in entries:
        values = periods[entry.key]
        if len(values) == 0:
            continue
        median, p95 = (float(q) for q in np.quantile(values, [0.5, 0.95]))
        name = plain(entry.title, NAME)
        told = (
            f"{name}: {len(values)} steps, median {human(median)}, 95th percentile {human(p95)}, "
            f"shortest {human(int(values.min()))}, longest {human(int(values.max()))}"
        )
        drawing = charts.ridge(values, axis, median, p95, told)
        rows.append(Row(entry.key, name, drawing, f"{human(median)} · {human(p95)}"))
    return tuple(rows), charts.x_axis(axis)


def _dots(entries: Sequence[Entry]) -> tuple[tuple[Row, ...], dict[str, Any]]:
    idle_of = {e.key: _interior(e) for e in entries}
    full = [idle for _, idle, _, _ in idle_of.values() if len(idle)]
    if not full:
        return (), {}
    y = Axis.of_time(0, charts.upper_end(full), 4)
    rows, data = [], {}
    names = [cause.name for cause in causes()]
    for entry in entries:
        number, idle, period, main = idle_of[entry.key]
        if len(number) == 0:
            continue
        x = Axis.of_number(int(number.min()), int(number.max()))
        points = charts.thinned(number, idle)
        median = float(np.median(idle))
        name = plain(entry.title, NAME)
        above = int(np.count_nonzero(idle > y.high))
        told = (
            f"{name}: idle time of {len(number)} steps, median {human(median)}, "
            f"most {human(int(idle.max()))} in step {int(number[idle.argmax()])}"
        )
        note = f"median {human(median)}, most {human(int(idle.max()))}"
        if above:
            note += f" · {above} above the scale"
        if points.each > 1:
            note += f" · each dot the worst of {points.each} steps"
        drawing = charts.dots(points, x, y, median, told)
        axis = charts.y_axis(y, 120)
        rows.append(Row(entry.key, name, axis + drawing + charts.x_axis(x), note))
        data[entry.key] = {
            "x": [x.low, x.high],
            "n": _numbers(points.number),
            "idle": points.value.tolist(),
            "step": period[points.rows].tolist(),
            "main": main[points.rows].tolist() if entry.causes_believed else [],
            "causes": names,
        }
    return tuple(rows), data


def _numbers(number: Int64) -> list[int] | dict[str, int]:
    """Consecutive numbers as their first and their count."""
    if len(number) and (np.diff(number) == 1).all():
        return {"from": int(number[0]), "count": len(number)}
    found: list[int] = number.tolist()
    return found


def _lines(entries: Sequence[Entry], data: dict[str, Any]) -> tuple[str, str, str, str]:
    curves: list[charts.Curve] = []
    for entry in entries:
        _, idle, _, _ = _interior(entry)
        if len(idle):
            name = plain(entry.title, 30)
            curves.append(charts.curve_of(entry.key, name, np.cumsum(idle), len(curves)))
    if not curves:
        return "", "", "", ""
    y = Axis.of_time(0, max(int(c.y[-1]) for c in curves) * 1.04, 5)
    x = Axis.of_number(0, max(int(c.x[-1]) for c in curves), unit="steps")
    for curve in curves:
        data[curve.key]["sum"] = {"x": curve.x.tolist(), "y": curve.y.tolist()}
        data[curve.key]["name"] = curve.name
    told = "Idle time added up over the steps: " + ", ".join(
        f"{c.name} {human(int(c.y[-1]))} after {int(c.x[-1])} steps" for c in curves
    )
    data["lines"] = {"x": [x.low, x.high]}
    return (
        charts.lines(curves, x, y, told),
        charts.y_axis(y, 300),
        charts.line_names(curves, y),
        charts.x_axis(x),
    )
