"""One section for each series: its figures, what it waited for, its worst steps, its timelines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from ..answer.compose import answer_of
from ..answer.sentence import plain_text
from ..figures.units import human, share
from ..idle.causes import causes
from ..model.text import plain
from ..scenes.entries import Entry
from ..verdicts.calibration import read_calibration
from .html_scenes import Scenes, Timeline
from .verdict import idle_share, is_main, sentences_of

WORST = 6


class Split(Struct, frozen=True):
    """One cause, or one drain: ns are per step where there are steps."""

    tone: str
    name: str
    amount: str
    rate: str
    ns: float
    meaning: str = ""
    remedy: str = ""


class WorstStep(Struct, frozen=True):
    """One of the steps that idled most."""

    number: int
    start: str
    idle: str
    idle_ns: int
    period: str
    main: str


class Strategy(Struct, frozen=True):
    """One section of the page."""

    key: str
    title: str
    origin: str
    device: str
    figures: tuple[tuple[str, str, str], ...]
    """(name, value, exact value)."""
    answer: tuple[str, ...]
    causes: tuple[Split, ...]
    drains: tuple[Split, ...]
    ranges: tuple[Split, ...]
    worst: tuple[WorstStep, ...]
    timelines: tuple[Timeline, ...]
    doubts: tuple[str, ...]
    """Why figures are missing, if any are."""
    per_step: bool


def strategies_of(entries: Sequence[Entry], scenes: Scenes) -> tuple[Strategy, ...]:
    """Every entry's section."""
    return tuple(_section(entry, scenes.by_entry.get(entry.key, ())) for entry in entries)


def _section(entry: Entry, timelines: tuple[Timeline, ...]) -> Strategy:
    steady = entry.steady
    doubts = tuple(
        f"{v.reason}. {v.remedy[:1].upper()}{v.remedy[1:]}."
        for v in entry.report.verdicts
        if v.level == "invalid"
    )
    return Strategy(
        key=entry.key,
        title=plain(entry.name, 80),
        origin=entry.origin,
        device=plain(entry.gaps.device.label, 60),
        figures=_figures(entry),
        answer=tuple(map(plain_text, sentences_of(entry))),
        causes=_causes(entry),
        drains=_drains(entry),
        ranges=_ranges(entry),
        worst=_worst(entry),
        timelines=timelines,
        doubts=doubts,
        per_step=steady is not None,
    )


def _figures(entry: Entry) -> tuple[tuple[str, str, str], ...]:
    if not entry.believed:
        return ()
    steady = entry.steady
    if steady is None:
        device = entry.device
        return (
            ("window", human(device.window_ns), repr(device.window_ns)),
            ("busy", human(device.busy_ns), repr(device.busy_ns)),
            ("idle", human(device.idle_ns), repr(device.idle_ns)),
            ("idle share", share(idle_share(entry)), repr(idle_share(entry))),
        )
    assert entry.series is not None
    found = [
        ("step", human(steady.period_ns), repr(steady.period_ns)),
        ("busy", human(steady.busy_ns), repr(steady.busy_ns)),
        ("idle", human(steady.idle_ns), repr(steady.idle_ns)),
        ("idle share", share(idle_share(entry)), repr(idle_share(entry))),
    ]
    without = read_calibration(entry.report.trace.source.manifest)
    if without is not None and entry.report.bare is None:
        idle = without.idle_ns(steady)
        found += [
            ("step, no profiler", human(without.unprofiled_ns), repr(without.unprofiled_ns)),
            (
                "idle, no profiler",
                human(idle) + _between(without.idle_interval_ns(steady)),
                repr(idle),
            ),
        ]
    if entry.causes_believed:
        found += [
            ("host work", human(steady.host_ns), repr(steady.host_ns)),
            *_to_win(entry),
        ]
    return (*found, ("steps", f"{steady.steps:,}", repr(steady.steps)))


def _to_win(entry: Entry) -> list[tuple[str, str, str]]:
    """The largest gain, where the answer is about these steps."""
    rung = answer_of(entry.report).rung if is_main(entry) else None
    return [("to win", human(rung.gain_ns), repr(rung.gain_ns))] if rung else []


def _between(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f" ({human(interval[0])} to {human(interval[1])})"


def _causes(entry: Entry) -> tuple[Split, ...]:
    if not entry.causes_believed:
        return ()
    spent: dict[str, float] = (
        dict(entry.steady.causes)
        if entry.steady is not None
        else {name: float(ns) for name, ns in entry.device.causes.items()}
    )
    total = sum(spent.values())
    return tuple(
        Split(
            f"cause-{cause.name}",
            cause.name,
            human(spent[cause.name]),
            share(spent[cause.name] / total),
            spent[cause.name],
            cause.meaning,
            cause.remedy,
        )
        for cause in sorted(causes(), key=lambda c: -spent[c.name])
        if spent[cause.name] > 0
    )


def _drains(entry: Entry) -> tuple[Split, ...]:
    if not entry.causes_believed:
        return ()
    steady = entry.steady
    idle = steady.idle_ns if steady is not None else entry.device.idle_ns
    drained = steady.drained_by if steady is not None else entry.device.drained_by
    return tuple(
        Split("", plain(name, 100), human(ns), share(ns / idle), float(ns))
        for name, ns in list(drained.items())[:3]
        if ns > 0
    )


def _ranges(entry: Entry) -> tuple[Split, ...]:
    ranges = entry.device.host_ranges if entry.causes_believed else {}
    total = sum(ranges.values())
    return tuple(
        Split("", plain(name, 100), human(ns), share(ns / total), float(ns))
        for name, ns in list(ranges.items())[:4]
    )


def _worst(entry: Entry) -> tuple[WorstStep, ...]:
    figures = entry.figures
    if figures is None or not entry.believed or entry.series is None:
        return ()
    rows = np.flatnonzero(figures.steady)
    rows = rows[np.argsort(-figures.idle[rows], kind="stable")][:WORST]
    names = [cause.name for cause in entry.split.causes]
    table = entry.series.table
    return tuple(
        WorstStep(
            int(figures.number[k]),
            f"{int(table.start[k]) / 1e6:,.3f} ms",
            human(int(figures.idle[k])),
            int(figures.idle[k]),
            human(int(figures.period[k])),
            names[int(figures.by_cause[:, k].argmax())] if entry.causes_believed else "–",
        )
        for k in rows.tolist()
    )
