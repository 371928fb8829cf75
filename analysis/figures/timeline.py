"""A scene drawn: lanes under one axis, gaps shaded through all of them."""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from ..scenes.scene import Lane, Scene
from .svg import boxes, label, num, percent, safe, tag, ticks
from .units import human, unit_of

AXIS, FLAG = 20.0, 18.0
"""Heights of the tick labels and of the strip in which the gap is named, px."""
TITLE, BELOW = 14.0, 7.0
ROW = {"nvtx": 18.0, "api": 14.0, "stream": 17.0, "busy": 11.0, "idle": 16.0}
UNITS = 4096
"""Width of the stretched drawing in its own units: about a quarter of a pixel each."""
WIDE_ENOUGH = 0.035
"""Share of the width from which a span carries its name."""
MOST_LABELS = 80
LEGEND = {
    "step": "step",
    "range-1": "NVTX range",
    "api-launch": "launch call",
    "api-sync": "synchronising call",
    "api-alloc": "allocation",
    "api-other": "other CUDA call",
    "kernel": "kernel",
    "copy": "copy",
    "set": "memset",
    "graph": "CUDA graph",
    "comm": "communication",
    "busy": "GPU busy",
}
"""What the tones mean; causes stand for themselves."""
SOFT = ("nvtx",)
"""Lanes drawn as outlined, pale boxes, so that their names are read with full contrast."""


class Placed(Struct, frozen=True):
    """Where a lane stands: `title_y` is a baseline, `y` the top of its first row, px."""

    lane: Lane
    title_y: float
    y: float
    row: float


def placed(scene: Scene) -> tuple[list[Placed], float]:
    """Every lane's place, and the height of the whole."""
    y = AXIS + FLAG
    result = []
    for lane in scene.lanes:
        row = ROW[lane.kind]
        result.append(Placed(lane, y + TITLE - 4, y + TITLE, row))
        y += TITLE + row * lane.rows + BELOW
    return result, y


def describe(scene: Scene) -> str:
    """The picture in words, for those who do not see it."""
    focus = next((g for g in scene.gaps if g.focus), None)
    text = f"Timeline of {human(scene.length)}: "
    text += "; ".join(f"{lane.title} ({int(lane.count.sum())} spans)" for lane in scene.lanes)
    if focus is not None:
        text += f". The GPU idles {human(focus.length)}"
        if scene.parts:
            named = [f"{p.cause or 'other'} {human(p.ns)} ({p.what})" for p in scene.parts]
            text += f": {', '.join(named)}"
    return text + "."


def stretched(scene: Scene, name: str) -> str:
    """The drawing as wide as its container: positions in percent, texts in pixels.

    `name`: what the picture is of, for assistive technology.
    """
    lanes, height = placed(scene)
    x = _Scale(scene, UNITS)
    shapes = [_shades(scene, x, height)]
    for place in lanes:
        shapes.extend(_spans(place, x, 2.5))
    inner = tag(
        "svg", *shapes, viewBox=f"0 0 {UNITS} {num(height)}", preserveAspectRatio="none",
        width="100%", height=height,
    )  # fmt: skip
    texts = [*_axis(scene, height, x, stretch=True), inner, *_flag(scene, x, stretch=True)]
    for place in lanes:
        texts.append(label(place.lane.title, 0, place.title_y, class_="lane"))
        texts.extend(_names(place, x))
    return tag(
        "svg", tag("title", safe(name)), tag("desc", safe(describe(scene))), *texts,
        class_="timeline", role="img", width="100%", height=height, aria_label=name,
    )  # fmt: skip


def fixed(scene: Scene, width: float) -> tuple[str, float]:
    """The drawing `width` px wide, without percentages and clips, for programs other than
    browsers: (elements, height)."""
    lanes, height = placed(scene)
    x = _Scale(scene, width)
    parts = [*_axis(scene, height, x, stretch=False), _shades(scene, x, height)]
    for place in lanes:
        parts.append(label(place.lane.title, 0, place.title_y, class_="lane"))
        parts.extend(_spans(place, x, 0.6))
        parts.extend(_cut_names(place, x))
    parts.extend(_flag(scene, x, stretch=False))
    return "".join(parts), height


class _Scale:
    """Time to x, clipped to the drawing."""

    def __init__(self, scene: Scene, width: float) -> None:
        self.start, self.length, self.width = scene.start, scene.length, width
        self.digits = 0 if width == UNITS else 2

    def at(self, time: float) -> float:
        return min(max((time - self.start) / self.length, 0.0), 1.0) * self.width

    def share(self, time: float) -> float:
        return self.at(time) / self.width

    def text(self, time: float, *, stretch: bool) -> str | float:
        return percent(self.share(time)) if stretch else self.at(time)


def _axis(scene: Scene, height: float, x: _Scale, *, stretch: bool) -> list[str]:
    unit, scale = unit_of(max(scene.length / 4, 1))
    low, high = (scene.start - scene.zero) / scale, (scene.end - scene.zero) / scale
    parts = []
    for value in ticks(low, high, 7):
        at = x.text(scene.zero + value * scale, stretch=stretch)
        share = x.share(scene.zero + value * scale)
        parts.append(tag("line", x1=at, x2=at, y1=AXIS - 4, y2=height, class_="grid"))
        anchor = "start" if share < 0.02 else "end" if share > 0.94 else "middle"
        text = f"{num_plain(value)} {unit}"
        parts.append(label(text, at, AXIS - 8, class_="tick", text_anchor=anchor))
    return parts


def num_plain(value: float) -> str:
    """A tick's number: thousands apart, a real minus sign."""
    text = f"{value:,.6f}".rstrip("0").rstrip(".")
    return text.replace("-", "\N{MINUS SIGN}")


def _shades(scene: Scene, x: _Scale, height: float) -> str:
    plain: list[tuple[float, float, float, float]] = []
    focus: list[tuple[float, float, float, float]] = []
    for gap in scene.gaps:
        left, right = x.at(gap.start), x.at(gap.end)
        if gap.focus:
            focus.append((left, AXIS, max(right - left, x.width / 1600), height - AXIS))
        elif right - left >= x.width / 800:
            plain.append((left, AXIS + FLAG, right - left, height - AXIS - FLAG))
    parts = [tag("path", d=boxes(plain, x.digits), class_="gap")] if plain else []
    parts += [tag("path", d=boxes(focus, x.digits), class_="gap focus")] if focus else []
    return "".join(parts)


def _flag(scene: Scene, x: _Scale, *, stretch: bool) -> list[str]:
    focus = next((g for g in scene.gaps if g.focus), None)
    if focus is None:
        return []
    middle = x.share((max(focus.start, scene.start) + min(focus.end, scene.end)) / 2)
    anchor = "start" if middle < 0.12 else "end" if middle > 0.88 else "middle"
    where = focus.start if anchor == "start" else focus.end if anchor == "end" else None
    at = x.text((focus.start + focus.end) / 2 if where is None else where, stretch=stretch)
    text = f"GPU idle {human(focus.length)}"
    return [label(text, at, AXIS + FLAG - 5, class_="flag", text_anchor=anchor)]


def _spans(place: Placed, x: _Scale, least: float) -> list[str]:
    """One path a tone; spans narrower than `least` units are drawn that wide."""
    lane = place.lane
    parts = []
    for tone in np.unique(lane.tone).tolist():
        spans = []
        for k in np.flatnonzero(lane.tone == tone).tolist():
            left = x.at(int(lane.start[k]))
            width = max(x.at(int(lane.end[k])) - left, least)
            y = place.y + place.row * int(lane.row[k])
            spans.append((left, y, width, place.row - 2))
        name = lane.tones[tone]
        soft = f" soft s-{name}" if lane.kind in SOFT else ""
        parts.append(tag("path", d=boxes(spans, x.digits), class_=f"t-{name}{soft}"))
    return parts


def _named(place: Placed, x: _Scale) -> list[tuple[int, float, float, str, str]]:
    """Spans wide enough for a name: (index, left and width as shares, name, class)."""
    lane = place.lane
    if lane.kind in ("busy", "api"):
        return []
    found = []
    for k in range(len(lane)):
        left, right = x.share(int(lane.start[k])), x.share(int(lane.end[k]))
        if right - left >= WIDE_ENOUGH:
            tone = lane.tones[int(lane.tone[k])]
            style = "name" if lane.kind in SOFT else f"name on-{tone}"
            found.append((k, left, right - left, lane.labels[int(lane.label[k])], style))
    found.sort(key=lambda item: -item[2])
    return found[:MOST_LABELS]


def _names(place: Placed, x: _Scale) -> list[str]:
    """Names clipped to their spans by a nested drawing each."""
    parts = []
    for k, left, width, text, style in _named(place, x):
        y = place.y + place.row * int(place.lane.row[k])
        inner = label(text, 4, place.row / 2 + 3, class_=style)
        parts.append(
            tag("svg", inner, x=percent(left), y=y, width=percent(width), height=place.row - 2)
        )
    return parts


GLYPH = 5.9
"""Width of an average character of the 11 px sans serif in which names are set, px."""


def _cut_names(place: Placed, x: _Scale) -> list[str]:
    """Names cut to the characters that surely fit."""
    parts = []
    for k, left, width, text, style in _named(place, x):
        room = int((width * x.width - 8) / GLYPH)
        if room < 2:
            continue
        shown = text if len(text) <= room else text[: room - 1] + "…"
        y = place.y + place.row * int(place.lane.row[k]) + place.row / 2 + 3
        parts.append(label(shown, left * x.width + 4, y, class_=style))
    return parts
