"""A short stretch of a trace as lanes of spans: what every drawing of a timeline is made from."""

from __future__ import annotations

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from ..model.arrays import Bool
from ..model.intervals import Int64

Tone = str
"""What a span is, and so its colour: `kernel`, `api-launch`, `step`, `cause-host`, ..."""


class Lane(Struct, frozen=True):
    """Spans under one title. Rows are drawn under each other; spans of one row do not overlap,
    except operations of one stream that ran at once. Arrays have shape (n,), times in ns."""

    title: str
    group: str
    """`host`, `gpu` or `idle`."""
    kind: str
    """`nvtx`, `api`, `stream`, `busy` or `idle`."""
    start: Int64
    end: Int64
    row: Int64
    label: Int64
    """Index into `labels`."""
    tone: Int64
    """Index into `tones`."""
    count: Int64
    """How many recorded spans this one stands for."""
    labels: tuple[str, ...]
    tones: tuple[Tone, ...]
    note: str = ""
    """What was left out of the lane, if anything."""

    def __len__(self) -> int:
        return len(self.start)

    @property
    def rows(self) -> int:
        return int(self.row.max()) + 1 if len(self) else 1


class Shade(Struct, frozen=True):
    """A gap, shaded through all lanes. `focus` is the one that the scene is about."""

    start: int
    end: int
    length: int
    focus: bool


class Part(Struct, frozen=True):
    """What part of the focused gap went to."""

    cause: str
    what: str
    """The call, the NVTX range or the operation concerned."""
    ns: int


class Scene(Struct, frozen=True):
    """What happened on one device and its launching threads in `[start, end)`."""

    title: str
    start: int
    end: int
    zero: int
    """What the axis counts from: the gap's start, or the step's."""
    lanes: tuple[Lane, ...]
    gaps: tuple[Shade, ...]
    parts: tuple[Part, ...]
    """What the focused gap went to, in the order of time; sums to its length."""
    drained_by: str
    """The call that let the queue run dry before the focused gap, empty for none."""

    @property
    def length(self) -> int:
        return self.end - self.start


def thinned(scene: Scene, resolution_ns: int) -> Scene:
    """The same scene with spans shorter than the resolution merged with neighbours nearer than it.

    What is merged says how many spans it stands for; no merged edge lies further than the
    resolution from a recorded one.
    """
    if resolution_ns <= 1:
        return scene
    return replace(scene, lanes=tuple(_thin(lane, resolution_ns) for lane in scene.lanes))


def span_count(scene: Scene) -> int:
    """How many spans all lanes have together."""
    return sum(map(len, scene.lanes))


def fitted(scene: Scene, most: int) -> Scene:
    """Thinned as little as it takes to have at most about `most` spans."""
    shown, resolution = scene, max(1, scene.length // 65536)
    while span_count(shown) > most and resolution < scene.length:
        shown = thinned(scene, resolution)
        resolution *= 2
    return shown


def _thin(lane: Lane, resolution: int) -> Lane:
    if len(lane) < 2:
        return lane
    order = np.lexsort((lane.start, lane.row))
    start, end, row = lane.start[order], lane.end[order], lane.row[order]
    short = end - start < resolution
    joins = np.zeros(len(order), np.bool_)
    joins[1:] = (
        short[1:]
        & short[:-1]
        & (row[1:] == row[:-1])
        & (lane.tone[order][1:] == lane.tone[order][:-1])
        & (start[1:] - end[:-1] < resolution)
    )
    heads = np.flatnonzero(~joins)
    size = np.diff(np.append(heads, len(order)))
    return replace(
        lane,
        start=start[heads],
        end=np.maximum.reduceat(end, heads),
        row=row[heads],
        label=lane.label[order][heads],
        tone=lane.tone[order][heads],
        count=np.add.reduceat(lane.count[order], heads) if (size > 1).any() else lane.count[order],
    )


def coverage(lane: Lane, lo: int, hi: int, cells: int, which: Bool | None = None) -> Int64:
    """Covered time in each of `cells` equal parts of `[lo, hi)`, ns; shape (cells,).

    Spans that overlap each other count once each; a cell is never covered for more than itself.
    """
    whole, rest = divmod(hi - lo, cells)  # apart: their product with cells would not fit int64
    edges = lo + np.arange(cells + 1) * whole + np.arange(cells + 1) * rest // cells
    start, end = (lane.start, lane.end) if which is None else (lane.start[which], lane.end[which])
    start, end = np.clip(start, lo, hi), np.clip(end, lo, hi)
    before_start = _sum_below(start, edges)
    before_end = _sum_below(end, edges)
    return np.minimum(np.diff(before_start - before_end), np.diff(edges))


def _sum_below(times: Int64, edges: Int64) -> Int64:
    """For each edge x, the sum over all times t of max(0, x - t)."""
    ordered = np.sort(times)
    total = np.concatenate(([0], np.cumsum(ordered)))
    count = np.searchsorted(ordered, edges)
    return count * edges - total[count]
