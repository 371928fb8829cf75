"""Drawings of characters, for a terminal: a timeline, stacked bars, sparklines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from msgspec import Struct

from ..idle.causes import causes
from ..model.intervals import Int64
from ..model.short_names import cut
from ..model.text import plain
from ..scenes.scene import Lane, Scene, coverage
from .svg import ticks
from .timeline import num_plain
from .units import human, share, unit_of

GUTTER = 13
LEVELS = " ▁▂▃▄▅▆▇█"
FAINT = 0.15
"""Share of a cell below which a gap is a dot instead of its cause's letter."""

_LETTERS = {
    "allocator": "m", "handoff": "t", "host-function": "f", "other-context": "o", "tail": "e",
    "unknown": "?",
}  # fmt: skip
_CODES = {
    "cause-host": "33", "cause-sync": "34", "cause-launch": "35", "cause-queue": "90",
    "cause-api": "36", "cause-allocator": "31", "cause-dependency": "32", "cause-graph": "92",
    "cause-handoff": "95", "cause-host-function": "93", "cause-other-context": "96",
    "step": "94", "range-1": "32", "range-2": "35", "range-3": "33",
    "range-4": "36", "api-launch": "37", "api-sync": "34", "api-alloc": "31", "api-other": "90",
    "kernel": "36", "copy": "32", "set": "33", "graph": "95", "comm": "35", "busy": "37",
    "title": "1", "muted": "90",
}  # fmt: skip
_API_LETTERS = {"api-launch": "l", "api-sync": "s", "api-alloc": "m", "api-other": "a"}


class Run(Struct, frozen=True):
    """Characters of one tone."""

    text: str
    tone: str = ""


Line = Sequence[Run]


def cause_letters() -> dict[str, str]:
    """One letter for every registered cause, each different."""
    found: dict[str, str] = {}
    for cause in causes():
        wanted = [_LETTERS.get(cause.name, cause.name[0]), *cause.name, *"bcfijkvwxyz"]
        found[cause.name] = next(c for c in wanted if c not in found.values())
    return found


def painted(lines: Iterable[Line], *, color: bool) -> str:
    """Lines as text, with ANSI colours where they are welcome; no blanks at line ends."""
    result = []
    for line in lines:
        runs = [run for run in line if run.text]
        while runs and not runs[-1].text.strip():
            runs.pop()
        if runs:
            runs[-1] = Run(runs[-1].text.rstrip(), runs[-1].tone)
        if color:
            text = "".join(
                f"\x1b[{_CODES[run.tone]}m{run.text}\x1b[0m" if run.tone in _CODES else run.text
                for run in runs
            )
        else:
            text = "".join(run.text for run in runs)
        result.append(text)
    return "\n".join(result) + "\n"


def timeline(scene: Scene, width: int) -> list[Line]:
    """The scene in lines of at most `width` columns."""
    cells = max(width - GUTTER - 1, 20)
    lines = _axis(scene, cells)
    for lane in scene.lanes:
        if lane.kind == "nvtx":
            lines += _ranges(lane, scene, cells)
        elif lane.kind == "api":
            lines.append(_lettered(lane, scene, cells, "CUDA API", _API_LETTERS))
        elif lane.kind == "idle":
            letters = {f"cause-{name}": letter for name, letter in cause_letters().items()}
            lines.append(_lettered(lane, scene, cells, "idle", letters))
        else:
            lines.append(_filled(lane, scene, cells))
    used = {lane.tones[tone] for lane in scene.lanes for tone in np.unique(lane.tone).tolist()}
    lines.append([])
    lines.append(_legend(used, width))
    return [_cut(line, width) for line in lines]


def account(scene: Scene, width: int) -> list[Line]:
    """The focused gap in words: what it went to and what drained the queue."""
    focus = next((gap for gap in scene.gaps if gap.focus), None)
    if focus is None:
        return []
    lines: list[Line] = [[Run(f"Longest gap: {human(focus.length)}", "title")]]
    letters = cause_letters()
    for part in scene.parts:
        amount = f"{human(part.ns):>9} {share(part.ns / focus.length):>7}  "
        name = f"{letters.get(part.cause, ' ')} {part.cause:<10} "
        room = max(width - len(amount) - len(name), 12)
        told = Run(cut(plain(part.what), room))
        lines.append([Run(amount), Run(name, f"cause-{part.cause}"), told])
    if scene.drained_by:
        lines.append([Run(f"drained by {plain(scene.drained_by)}", "muted")])
    return [_cut(line, width) for line in lines]


def stacked(rows: Sequence[tuple[str, dict[str, float]]], width: int) -> list[Line]:
    """One bar a row, made of the causes' letters to one scale; values in ns."""
    names = max((len(name) for name, _ in rows), default=0)
    names = min(names, max(width // 3, 12))
    cells = max(width - names - 12, 10)
    most = max((sum(parts.values()) for _, parts in rows), default=0) or 1
    letters = cause_letters()
    lines: list[Line] = []
    used: set[str] = set()
    for name, parts in rows:
        line = [Run(f"{_short(plain(name), names):<{names}} ")]
        done = 0.0
        drawn = 0
        for cause, ns in sorted(parts.items(), key=lambda item: -item[1]):
            done += ns
            size = round(done / most * cells) - drawn
            if size > 0:
                line.append(Run(letters[cause] * size, f"cause-{cause}"))
                used.add(f"cause-{cause}")
                drawn += size
        line.append(Run(f"{'' if drawn else '·'} {human(sum(parts.values()))}"))
        lines.append(line)
    lines.append(_legend(used, width))
    return [_cut(line, width) for line in lines]


def sparkline(values: Int64, cells: int, most: int = 0) -> str:
    """The largest value of each of `cells` parts as a block, from zero to `most`, which is the
    largest value by default."""
    if len(values) == 0:
        return ""
    cells = min(cells, len(values))
    edges = np.linspace(0, len(values), cells + 1).astype(np.int64)[:-1]
    tops = np.maximum.reduceat(values, edges)
    most = most or int(tops.max()) or 1
    level = np.ceil(np.clip(tops / most, 0, 1) * (len(LEVELS) - 1)).astype(np.int64)
    return "".join(LEVELS[k] for k in level.tolist())


def _axis(scene: Scene, cells: int) -> list[Line]:
    unit, scale = unit_of(max(scene.length / 4, 1))
    low, high = (scene.start - scene.zero) / scale, (scene.end - scene.zero) / scale
    numbers, marks = [" "] * cells, ["─"] * cells
    end = -2
    for value in ticks(low, high, max(cells // 12, 2)):
        at = min(int((value - low) / (high - low) * cells), cells - 1)
        text = num_plain(value)
        begin = min(max(at - len(text) // 2, 0), cells - len(text))
        marks[at] = "┬"
        if begin > end + 1:
            numbers[begin : begin + len(text)] = text
            end = begin + len(text)
    return [
        [Run(f"{unit:>{GUTTER - 1}} ", "muted"), Run("".join(numbers), "muted")],
        [Run(" " * GUTTER), Run("".join(marks), "muted")],
    ]


def _cell(scene: Scene, time: int, cells: int) -> int:
    return int((time - scene.start) * cells // scene.length)


def _ranges(lane: Lane, scene: Scene, cells: int) -> list[Line]:
    lines: list[Line] = []
    for level in range(lane.rows):
        text, tone = [" "] * cells, [""] * cells
        mine = np.flatnonzero(lane.row == level)
        for k in mine.tolist():
            first = max(_cell(scene, int(lane.start[k]), cells), 0)
            stop = min(_cell(scene, int(lane.end[k]) - 1, cells) + 1, cells)
            size = stop - first
            if size <= 0:
                continue
            box = "│" if size == 1 else "├" + "─" * (size - 2) + "┤"
            name = _short(plain(lane.labels[int(lane.label[k])]), size - 2) if size > 3 else ""
            box = box[0] + name + box[1 + len(name) :]
            text[first:stop] = box
            tone[first:stop] = [lane.tones[int(lane.tone[k])]] * size
        title = lane.title.rpartition("· ")[2] if level == 0 else ""
        lines.append([Run(f"{title:<{GUTTER}}", "muted"), *_runs(text, tone)])
    return lines


def _lettered(
    lane: Lane, scene: Scene, cells: int, title: str, letters: dict[str, str]
) -> list[Run]:
    tones = np.unique(lane.tone).tolist()
    spent = np.array(
        [coverage(lane, scene.start, scene.end, cells, lane.tone == tone) for tone in tones]
    ).reshape(len(tones), cells)
    text, tone = [" "] * cells, [""] * cells
    if tones:
        # Rounding to cells must not hide the one synchronisation among many launches: ties and
        # near ties go to the tone that covers more.
        winner, total = spent.argmax(axis=0), spent.sum(axis=0)
        for k in np.flatnonzero(total > 0).tolist():
            name = lane.tones[tones[int(winner[k])]]
            faint = lane.kind == "idle" and total[k] < FAINT * scene.length / cells
            text[k] = "·" if faint else letters[name]
            tone[k] = name
    return [Run(f"{title:<{GUTTER}}", "muted"), *_runs(text, tone)]


def _filled(lane: Lane, scene: Scene, cells: int) -> list[Run]:
    spent = coverage(lane, scene.start, scene.end, cells)
    level = np.ceil(spent / (scene.length / cells) * (len(LEVELS) - 1) - 1e-9)
    text = [LEVELS[k] for k in np.clip(level, 0, len(LEVELS) - 1).astype(np.int64).tolist()]
    tone = "busy" if lane.kind == "busy" else "kernel"
    return [Run(f"{_short(lane.title, GUTTER - 1):<{GUTTER}}", "muted"), Run("".join(text), tone)]


def _runs(text: list[str], tone: list[str]) -> list[Run]:
    runs: list[Run] = []
    begin = 0
    for k in range(1, len(text) + 1):
        if k == len(text) or tone[k] != tone[begin]:
            runs.append(Run("".join(text[begin:k]), tone[begin]))
            begin = k
    return runs


def _legend(used: set[str], width: int) -> Line:
    line: list[Run] = []
    room = width
    letters = {f"cause-{name}": (letter, name) for name, letter in cause_letters().items()}
    api = {tone: (_API_LETTERS[tone], tone.partition("-")[2]) for tone in _API_LETTERS}
    groups = (("idle", letters), ("API", api))
    for title, group in groups:
        shown = [(tone, *pair) for tone, pair in group.items() if tone in used]
        if not shown:
            continue
        parts = [Run(f"{title}: ", "muted")]
        for tone, letter, name in shown:
            parts += [Run(letter, tone), Run(f" {name}  ", "muted")]
        size = sum(len(run.text) for run in parts)
        if size > room:
            break
        line += parts
        room -= size
    return line


def _short(text: str, room: int) -> str:
    return text if len(text) <= room else text[: max(room - 1, 0)] + "…"


def _cut(line: Line, width: int) -> Line:
    kept: list[Run] = []
    room = width
    for run in line:
        if len(run.text) > room:
            kept.append(Run(_short(run.text, room), run.tone))
            break
        kept.append(run)
        room -= len(run.text)
    return kept
