"""Chrome trace JSON, which Perfetto's UI and chrome://tracing open.

Above what was recorded stand tracks of our own: gaps, their causes, steps on the GPU, and idle
time per step as a counter. An arrow leads from each launch to the operation that ended a gap.
Slices of one track nest or follow each other, as both viewers ask; what overlaps gets a further
track.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import count

import numpy as np
from msgspec import Struct, field

from ..idle.attribute import Attribution
from ..idle.drains import wait_name
from ..idle.gaps import DeviceGaps, GapKind, gap_kinds
from ..model.arrays import factorize
from ..model.cuda_calls import allocating, synchronizing
from ..model.intervals import Int64
from ..model.names import operation_names
from ..model.streams import stream_labels
from ..model.text import plain
from ..model.trace import Trace
from ..report import TraceReport
from ..scenes.lanes import range_word, thread_title
from ..scenes.states import gap_states
from .base import Exporter
from .errors import OneTraceOnly

OURS = 20_000_000
"""Process ids from here on are ours: a real one has 24 bits at most."""
_AT_ONCE = 4000
LONG_NAME = 512


class _Tracks(Struct):
    """Hands out track ids and remembers their names as metadata events."""

    events: list[str] = field(default_factory=list)
    _next: Iterator[int] = field(default_factory=lambda: count(1))

    def process(self, pid: int, name: str, order: int) -> None:
        self.events.append(_metadata(pid, 0, "process_name", name))
        self.events.append(
            f'{{"ph":"M","pid":{pid},"tid":0,"name":"process_sort_index",'
            f'"args":{{"sort_index":{order}}}}}'
        )

    def track(self, pid: int, name: str) -> int:
        tid = next(self._next)
        self.events.append(_metadata(pid, tid, "thread_name", name))
        self.events.append(
            f'{{"ph":"M","pid":{pid},"tid":{tid},"name":"thread_sort_index",'
            f'"args":{{"sort_index":{tid}}}}}'
        )
        return tid


def chunks(reports: Sequence[TraceReport], rows: str) -> Iterator[bytes]:
    """The document in pieces; `rows` does not matter here. One trace only: clocks differ."""
    del rows
    if len(reports) != 1:
        raise OneTraceOnly(f"a timeline holds one trace, {len(reports)} were given")
    report = reports[0]
    source = report.trace.source
    about = {
        "origin": source.origin,
        "label": report.label,
        "recorded_by": f"{source.producer} {source.version}".strip(),
        "trace": report.trace.path.name,
        "clock": "the report's own; zero is the start of collection",
    }
    yield f'{{"displayTimeUnit":"ns","otherData":{_quoted(about)},"traceEvents":[\n'.encode()
    first, held = True, []
    for event in _events(report):
        held.append(event)
        if len(held) >= _AT_ONCE:
            yield _joined(held, first)
            first, held = False, []
    yield _joined(held, first)
    yield b"\n]}\n"


def _joined(events: list[str], first: bool) -> bytes:
    if not events:
        return b""
    return (("" if first else ",\n") + ",\n".join(events)).encode("utf-8")


def _events(report: TraceReport) -> Iterator[str]:
    tracks = _Tracks()
    trace = report.trace
    # What was not measured says so on every process.
    mark = "" if trace.source.origin == "measured" else f" [{trace.source.origin.upper()}]"
    for order, (gaps, split) in enumerate(zip(report.gaps, report.attributions, strict=True)):
        pid = OURS + order
        tracks.process(pid, f"idle of {gaps.device.label}{mark}", order)
        yield from _analysis(report, gaps, split, tracks, pid)
    for order, gaps in enumerate(report.gaps):
        pid = OURS + 1000 + order
        tracks.process(pid, f"{gaps.device.label}{mark}", 100 + order)
        yield from _device(trace, gaps, tracks, pid)
    yield from _host(report, tracks, mark)
    yield from tracks.events


def _analysis(
    report: TraceReport, gaps: DeviceGaps, split: Attribution, tracks: _Tracks, pid: int
) -> Iterator[str]:
    trace = report.trace
    names = [cause.name for cause in split.causes]
    about = _gap_arguments(report, gaps, split, names)
    label = ["idle"] * len(gaps)
    yield from _slices(tracks, pid, "gaps", gaps.start, gaps.end, label.__getitem__, about)
    states = gap_states(trace, gaps, split)
    cause = states.cause.tolist()
    yield from _slices(
        tracks, pid, "cause of idle", states.start, states.end, lambda k: names[cause[k]], None
    )
    for summary in report.series:
        if summary.device != gaps.device.index:
            continue
        table = summary.table
        alive = np.flatnonzero(table.operations > 0)
        order = alive[np.argsort(table.gpu_start[alive], kind="stable")]
        number, idle, busy = table.number[order], table.idle[order], table.busy[order]

        def told(k: int, number: Int64 = number, idle: Int64 = idle, busy: Int64 = busy) -> str:
            return f'{{"step":{number[k]},"idle_ns":{idle[k]},"busy_ns":{busy[k]}}}'

        def named(k: int, number: Int64 = number) -> str:
            return f"step {int(number[k])}"

        title = f"steps on the GPU ({plain(summary.pattern, 40)})"
        start, end = table.gpu_start[order], table.gpu_end[order]
        yield from _slices(tracks, pid, title, start, end, named, told)
        for at, ns in zip(start.tolist(), idle.tolist(), strict=True):
            yield (
                f'{{"ph":"C","pid":{pid},"tid":0,"ts":{_us(at)},"name":"idle per step (µs)",'
                f'"args":{{"idle":{ns / 1000}}}}}'
            )


def _gap_arguments(
    report: TraceReport, gaps: DeviceGaps, split: Attribution, names: list[str]
) -> Callable[[int], str]:
    """Arguments of each gap as JSON, from columns: a trace may hold a million gaps."""
    trace = report.trace
    kind, step = [""] * len(gaps), [""] * len(gaps)
    for one in reversed(report.steps.series):
        kind_of, step_of = gap_kinds(gaps, one)
        for k in np.flatnonzero(kind_of <= GapKind.INTRA).tolist():
            kind[k] = GapKind(int(kind_of[k])).name.lower()
            step[k] = str(int(one.number[step_of[k]]))
    length = gaps.length.tolist()
    spent = split.time.T.tolist()
    drains = split.drained_by.tolist()
    calls = trace.calls
    sides = [
        _sides(trace, side, rows) for side, rows in (("before", gaps.before), ("after", gaps.after))
    ]

    def about(k: int) -> str:
        parts = [f'"ns":{length[k]}']
        if kind[k]:
            parts.append(f'"kind":"{kind[k]}","step":{step[k]}')
        parts += [f'"{name}_ns":{ns}' for name, ns in zip(names, spent[k], strict=True) if ns]
        if drains[k] != -1:
            drain = wait_name(drains[k], lambda row: calls.names[calls.name[row]])
            parts.append(f'"drained_by":{_quoted(drain)}')
        parts += [side[k] for side in sides if side[k]]
        return f"{{{','.join(parts)}}}"

    return about


def _sides(trace: Trace, side: str, rows: Int64) -> list[str]:
    """`"before":"gemm"` for each gap, empty at the window's edge."""
    known = np.flatnonzero(rows >= 0)
    codes, names = operation_names(trace, rows[known])
    quoted = [f'"{side}":{_quoted(plain(name, LONG_NAME))}' for name in names]
    found = [""] * len(rows)
    for k, code in zip(known.tolist(), codes.tolist(), strict=True):
        found[k] = quoted[code]
    return found


def _device(trace: Trace, gaps: DeviceGaps, tracks: _Tracks, pid: int) -> Iterator[str]:
    operations = trace.operations
    rows = np.arange(len(operations))[gaps.rows]
    codes, names = operation_names(trace, rows)
    stream, keys = factorize(operations.stream[rows])
    ends_gap = np.zeros(len(operations), np.bool_)
    ends_gap[gaps.after[gaps.after >= 0]] = True
    for code, track in enumerate(stream_labels(keys.tolist())):
        mine = np.flatnonzero(stream == code)
        own = rows[mine]
        label = [names[k] for k in codes[mine].tolist()]
        yield from _slices(
            tracks, pid, track, operations.start[own], operations.end[own],
            label.__getitem__, None,
            flow=(own, ends_gap[own] & (operations.launch[own] >= 0)),
        )  # fmt: skip


def _host(report: TraceReport, tracks: _Tracks, mark: str) -> Iterator[str]:
    trace = report.trace
    calls, ranges, operations = trace.calls, trace.ranges, trace.operations
    after = np.concatenate([g.after[g.after >= 0] for g in report.gaps] or [np.empty(0, np.int64)])
    launched_by = np.full(len(calls), -1, np.int64)
    ends = after[operations.launch[after] >= 0]
    launched_by[operations.launch[ends]] = ends
    kinds = np.where(synchronizing(trace), "synchronising", "")
    kinds = np.where(allocating(calls), "allocating", kinds)
    seen: set[int] = set()
    low, high = _window(report)
    call_near = (calls.end > low) & (calls.start < high)
    range_near = (ranges.end > low) & (ranges.start < high)
    for index, thread in enumerate(trace.threads):
        of_calls = np.flatnonzero(call_near & (calls.thread == index))
        of_ranges = np.flatnonzero(range_near & (ranges.thread == index))
        if not len(of_calls) and not len(of_ranges):
            continue
        if thread.pid not in seen:
            seen.add(thread.pid)
            tracks.process(thread.pid, f"process {thread.pid}{mark}", 200 + len(seen))
        title = plain(thread_title(trace, index), 60)
        text = [trace.strings[i] for i in ranges.name[of_ranges].tolist()]
        yield from _slices(
            tracks, thread.pid, f"{title} · {range_word(trace)}", ranges.start[of_ranges],
            ranges.end[of_ranges], text.__getitem__, None,
        )  # fmt: skip
        name = [calls.names[k] for k in calls.name[of_calls].tolist()]
        kind = kinds[of_calls].tolist()

        def told(k: int, kind: list[str] = kind) -> str:
            return f'{{"kind":"{kind[k]}"}}' if kind[k] else ""

        yield from _slices(
            tracks, thread.pid, f"{title} · CUDA API", calls.start[of_calls], calls.end[of_calls],
            name.__getitem__, told, flow=(launched_by[of_calls], launched_by[of_calls] >= 0),
            leads=True,
        )  # fmt: skip


def _window(report: TraceReport) -> tuple[int, int]:
    """What of the host belongs to the devices' windows: from the first launch of their work on."""
    trace = report.trace
    if not report.gaps:
        return -(2**62), 2**62
    low = min(g.window_start for g in report.gaps)
    for gaps in report.gaps:
        launch = trace.operations.launch[gaps.rows]
        launch = launch[launch >= 0]
        if len(launch):
            low = min(low, int(trace.calls.start[launch].min()))
    return low, max(g.window_end for g in report.gaps)


def _slices(
    tracks: _Tracks,
    pid: int,
    title: str,
    start: Int64,
    end: Int64,
    name: Callable[[int], str],
    about: Callable[[int], str] | None,
    *,
    flow: tuple[Int64, np.ndarray] | None = None,
    leads: bool = False,
) -> Iterator[str]:
    """Slices of one title, on as many tracks as their overlaps ask for.

    `flow`: (arrow's id, whether the slice has an end of one) per slice; `leads`: its beginning.
    """
    if len(start) == 0:
        return
    level = nesting(start, end)
    ids: dict[int, int] = {}
    quoted: dict[str, str] = {}
    begin, finish = start.tolist(), end.tolist()
    for k, on in enumerate(level.tolist()):
        if on not in ids:
            ids[on] = tracks.track(pid, title if on == 0 else f"{title} ({on + 1})")
        text = name(k)
        if text not in quoted:
            quoted[text] = _quoted(plain(text, LONG_NAME))
        where = f'"pid":{pid},"tid":{ids[on]}'
        told = f',"args":{found}' if about is not None and (found := about(k)) else ""
        yield (
            f'{{"ph":"X",{where},"ts":{_us(begin[k])},"dur":{_us(finish[k] - begin[k])},'
            f'"name":{quoted[text]}{told}}}'
        )
        if flow is not None and flow[1][k]:
            ends = '"s"' if leads else '"f","bp":"e"'
            yield (
                f'{{"ph":{ends},{where},"ts":{_us(begin[k])},"id":{int(flow[0][k])},'
                '"cat":"launch","name":"launch"}'
            )


def nesting(start: Int64, end: Int64) -> Int64:
    """Track for each slice so that the slices of one track nest or follow; shape (n,).

    O(n) where they follow each other already; else a pass over their starts.
    """
    level = np.zeros(len(start), np.int64)
    if len(start) < 2 or bool((start[1:] >= end[:-1]).all()):
        return level
    stacks: list[list[int]] = []
    for k in np.lexsort((-end, start)).tolist():
        low, high = int(start[k]), int(end[k])
        for on, stack in enumerate(stacks):  # noqa: B007
            while stack and stack[-1] <= low:
                stack.pop()
            if not stack or stack[-1] >= high:
                break
        else:
            stacks.append([])
            on = len(stacks) - 1
        stacks[on].append(high)
        level[k] = on
    return level


def _quoted(value: object) -> str:
    """JSON; Perfetto shows escapes as they stand, so letters are left as they are."""
    # Surrogates that a broken name may hold cannot be written as UTF-8.
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace").decode("utf-8")


def _us(ns: int) -> str:
    """Microseconds with all nanoseconds."""
    return f"{ns // 1000}.{ns % 1000:03d}"


def _metadata(pid: int, tid: int, kind: str, name: str) -> str:
    return (
        f'{{"ph":"M","pid":{pid},"tid":{tid},"name":"{kind}",'
        f'"args":{{"name":{_quoted(plain(name, 120))}}}}}'
    )


EXPORTER = Exporter(
    "perfetto",
    (".json",),
    "a timeline for ui.perfetto.dev and chrome://tracing",
    False,
    True,
    chunks,
)
