"""The timelines of the page: a drawing to read, and the spans that the script zooms into."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import Struct

from ..figures.timeline import AXIS, FLAG, LEGEND, Placed, placed, stretched
from ..figures.units import human, share
from ..model.text import plain
from ..scenes.entries import Entry
from ..scenes.moments import Moment
from ..scenes.scene import Scene, fitted

BUDGET = 20_000
"""Spans that all timelines of a page share, for the script to zoom into; of many, `LEAST` each."""
LEAST, MOST = 200, 2500
"""Spans that one timeline may carry at least and at most."""
DRAWN = 450
"""Spans of the drawing itself: more cannot be told apart on a page."""


class Timeline(Struct, frozen=True):
    """One timeline of one entry."""

    key: str
    heading: str
    drawing: str
    summary: str
    parts: tuple[tuple[str, str, str, str, int], ...]
    """(cause, what, duration, share, ns) of the focused gap."""
    notes: tuple[str, ...]


class Scenes(Struct, frozen=True):
    """All timelines by entry, and their spans for the script."""

    by_entry: dict[str, tuple[Timeline, ...]]
    data: dict[str, Any]
    legend: tuple[tuple[str, str], ...]
    """(tone, meaning) of the spans that occur; causes have a legend of their own."""


def scenes_of(entries: Sequence[Entry]) -> Scenes:
    """The median and the worst gap of every entry that can be believed."""
    chosen = [(entry, _distinct(entry.moments())) for entry in entries if entry.believed]
    count = sum(len(moments) for _, moments in chosen)
    budget = min(max(BUDGET // max(count, 1), LEAST), MOST)
    by_entry: dict[str, tuple[Timeline, ...]] = {}
    data: dict[str, Any] = {}
    for entry, moments in chosen:
        timelines = []
        for moment in moments:
            key = f"{entry.key}-{moment.kind}"
            timelines.append(_timeline(entry, moment, key))
            data[key] = _data(fitted(moment.scene, budget))
        by_entry[entry.key] = tuple(timelines)
    tones = {
        lane.tones[tone]
        for _, moments in chosen
        for moment in moments
        for lane in moment.scene.lanes
        for tone in np.unique(lane.tone).tolist()
    }
    legend = tuple((tone, meaning) for tone, meaning in LEGEND.items() if tone in tones)
    return Scenes(by_entry, data, legend)


def _distinct(moments: Sequence[Moment]) -> list[Moment]:
    """Where the worst gap is no longer than the median one, one picture says it all."""
    found: dict[int, Moment] = {}
    for moment in moments:
        found.setdefault(moment.gap_ns, moment)
    return list(found.values())


def _timeline(entry: Entry, moment: Moment, key: str) -> Timeline:
    kinds = {"median": "The median gap", "worst": "The worst gap"}
    heading = f"{kinds[moment.kind]}: {human(moment.gap_ns)}"
    if moment.step is not None:
        heading += f", {'inside' if moment.inside else 'before'} step {moment.step}"
    parts = tuple(
        (p.cause or "other", plain(p.what), human(p.ns), share(p.ns / moment.gap_ns), p.ns)
        for p in moment.scene.parts
    )
    summary = ""
    if moment.scene.drained_by:
        summary = f"The queue had been drained by {plain(moment.scene.drained_by)}."
    name = f"{plain(entry.title, 60)}: {heading.lower()}"
    drawing = stretched(fitted(moment.scene, DRAWN), name)
    notes = tuple(f"{lane.title}: {lane.note}" for lane in moment.scene.lanes if lane.note)
    return Timeline(key, heading, drawing, summary, parts, notes)


def _data(scene: Scene) -> dict[str, Any]:
    """The scene in few characters: starts as differences, names and tones by number."""
    lanes, height = placed(scene)
    names: dict[str, int] = {}
    return {
        "length": scene.length,
        "zero": scene.zero - scene.start,
        "height": height,
        "top": AXIS,
        "flag": FLAG,
        "lanes": [_lane(place, scene.start, names) for place in lanes],
        "gaps": [
            [gap.start - scene.start, gap.end - scene.start, int(gap.focus)] for gap in scene.gaps
        ],
        "names": [plain(name) for name in names],
    }


def _lane(place: Placed, origin: int, names: dict[str, int]) -> dict[str, Any]:
    lane = place.lane
    order = np.argsort(lane.start, kind="stable")
    start = lane.start[order] - origin
    label = [names.setdefault(lane.labels[k], len(names)) for k in lane.label[order].tolist()]
    result: dict[str, Any] = {
        "title": lane.title,
        "kind": lane.kind,
        "titleY": place.title_y,
        "y": place.y,
        "row": place.row,
        "tones": lane.tones,
        "s": np.diff(start, prepend=0).tolist(),
        "d": (lane.end - lane.start)[order].tolist(),
        "l": label,
        "t": lane.tone[order].tolist(),
    }
    if lane.rows > 1:
        result["r"] = lane.row[order].tolist()
    if (lane.count != 1).any():
        result["c"] = lane.count[order].tolist()
    return result
