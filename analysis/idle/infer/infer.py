"""Steps without annotations: the loop as the launches themselves show it.

The operations of the busiest stream, in the order of their launches, are searched for the shortest
stretch that keeps coming back (`infer_period`); what the host did then says where in that stretch
a step begins (`infer_phase`). Where nothing comes back, or nothing tells a step from the layer of
a model, there is a TraceError and no guess.
"""

from __future__ import annotations

import re

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from ...model.arrays import Bool, Code, factorize
from ...model.cuda_calls import host_waits
from ...model.intervals import Int64
from ...model.names import operation_name
from ...model.schema import NULL, CopyKind, Kind
from ...model.streams import recorded_number
from ...model.trace import Trace
from ..errors import NoLoopFound
from ..steps import INFERRED, Steps, StepSeries
from .counter_evidence import against_steps, other_work_between
from .period import COVERAGE, MIN_REPEATS, Loop, NoLoop, find_loop
from .phase import Phase, Sequence, alike, boundaries, find_phase

_DOUBT = 0.5
"""What is left of the confidence where the repeats may be layers."""
_SAME_WORK = 0.9
"""Cosine of two streams' operation counts from which they are taken to run the same body."""


class InferredSteps(Struct, frozen=True):
    """One step series found without annotations."""

    series: StepSeries
    """Step times run from boundary to boundary on the host; names are empty, and numbers skip the
    repeats that are left out."""
    period_ops: int
    """Operations of the loop's typical repeat, on the streams that were searched."""
    confidence: float
    """0 to 1: share of a step's operations that the typical step has in the same order, times the
    share of repeats that are steps (the rest differ too much in length); half of it where they may
    be layers."""
    boundary_confidence: float
    """0 to 1: how far what tells where a step begins agrees; 0 where nothing tells. Wrong
    boundaries shift every step alike: figures per step stand, the split inter/intra does not."""
    explanation: str
    """One sentence or two for a person: what was found, where, and what was left out."""
    evidence: tuple[str, ...]
    """Why steps begin where they do, strongest reason first; empty where nothing tells."""

    @property
    def steps(self) -> Steps:
        """The same as `find_steps` gives."""
        return Steps((self.series,), int(np.count_nonzero(self.series.step_of < 0)), 0)


def infer_steps(trace: Trace, device: int | None = None) -> InferredSteps:
    """Find the loop on one device (an ordinal; the busiest by default).

    Raises TraceError where there is no stable period, or nothing marks it as a step.
    """
    rows = _rows(trace, device)
    chosen, streams = _busiest(trace, rows)
    sequence = _sequence(trace, chosen, _tokens(trace, chosen))
    loop = find_loop(sequence.tokens)
    by_family = False
    if isinstance(loop, NoLoop):
        # A sequence that grows changes its kernels' shapes: the families stay.
        wider = _sequence(trace, chosen, _families(trace, sequence.tokens, chosen))
        found = find_loop(wider.tokens)
        if isinstance(found, Loop):
            loop, sequence, by_family = found, wider, True
    if isinstance(loop, NoLoop):
        raise NoLoopFound(
            f"{trace.path}: no stable period in the {len(chosen)} operations of {streams}: "
            f"{loop.reason}",
        )
    phase = find_phase(sequence, loop)
    if not phase.marked or loop.period < 2:
        raise NoLoopFound(
            f"{trace.path}: {_come(loop.period)} back {len(loop.marks)} times on "
            f"{streams}, but nothing marks them as a step: no wait, no loop inside; a layer "
            "would look the same, with a copy to the device or without",
        )
    edges = boundaries(sequence, loop, phase)
    lengths = np.diff(edges)
    kept = alike(sequence.tokens, edges, loop)
    covered = int(lengths[kept].sum())
    if int(kept.sum()) < MIN_REPEATS or covered < COVERAGE * len(chosen):
        raise NoLoopFound(
            f"{trace.path}: {_come(loop.period)} back {int(kept.sum())} times on "
            f"{streams} and make up {covered / len(chosen):.0%} of its work: too little for the "
            "loop of the trace",
        )
    on_device = _inside_launches(trace.operations.launch[chosen], edges)
    series, other = _series(trace, chosen, sequence, edges, kept, loop, on_device)
    against = other_work_between(loop)
    if not on_device:
        against = against_steps(trace, series.thread_index, series.start, series.end) or against
    if against:
        raise NoLoopFound(
            f"{trace.path}: {_come(loop.period)} back {len(series)} times on {streams}, "
            f"but {against}"
        )
    return InferredSteps(
        series=series,
        period_ops=loop.period,
        confidence=loop.agreement * float(kept.mean()) * (_DOUBT if phase.doubtful else 1),
        boundary_confidence=phase.share,
        explanation=_explain(
            trace, chosen, streams, loop, phase, kept, covered, other, by_family, on_device
        ),
        evidence=tuple(w.text for w in phase.witnesses),
    )


def _rows(trace: Trace, device: int | None) -> Int64:
    """Operations of one device whose launch is known."""
    operations = trace.operations
    launched = operations.launch >= 0
    if device is None:
        counts = np.bincount(operations.device[launched], minlength=len(trace.devices))
        wanted = [int(np.argmax(counts))] if len(counts) else []
    else:
        wanted = [d.index for d in trace.devices if d.ordinal == device]
    rows = np.flatnonzero(launched & np.isin(operations.device, wanted))
    if len(rows) < MIN_REPEATS:
        where = "" if device is None else f" on device {device}"
        raise NoLoopFound(
            f"{trace.path}: {len(rows)} GPU operations with a recorded launch{where}: no loop to "
            "find",
        )
    # One launch (a CUDA graph) may bring many operations: then they stand as they ran.
    return rows[np.lexsort((operations.start[rows], trace.calls.start[operations.launch[rows]]))]


def _busiest(trace: Trace, rows: Int64) -> tuple[Int64, str]:
    """Rows on the busiest stream, and on streams that take turns with it; and what to call them.

    A ping-pong runs the same body on two streams by turns, launched by one thread: one loop.
    """
    operations, calls = trace.operations, trace.calls
    process, stream = operations.process[rows], operations.stream[rows]
    pair, pairs = factorize(process.astype(np.int64) << 32 | factorize(stream)[0])
    counts = np.bincount(pair, minlength=len(pairs))
    main = int(np.argmax(counts))
    alike = _likeness(pair, factorize(_tokens(trace, rows))[0], main) >= _SAME_WORK
    thread = calls.thread[operations.launch[rows]]

    def lead(k: int) -> int:
        return int(np.bincount(thread[pair == k]).argmax())

    first = lead(main)
    near = np.flatnonzero(alike & (counts * 4 >= counts[main])).tolist()
    joined = sorted({main, *(k for k in near if lead(k) == first)})
    inside = np.isin(pair, joined)
    names = sorted(recorded_number(int(stream[np.argmax(pair == k)])) for k in joined)
    label = f"stream {names[0]}"
    if len(names) > 1:
        label = f"streams {', '.join(map(str, names))} (which take turns)"
    return rows[inside], label


def _likeness(group: Code, token: Code, main: int) -> NDArray[np.float64]:
    """Cosine of each group's operation counts with those of `main`; shape (groups,).

    Counts are held where there are any: a table of groups and tokens may fit no memory.
    """
    width = int(token.max()) + 1
    cells, count = np.unique(group.astype(np.int64) * width + token, return_counts=True)
    owner, what = cells // width, cells % width
    its = np.zeros(width)
    its[what[owner == main]] = count[owner == main]
    norm = np.sqrt(np.bincount(owner, weights=count.astype(np.float64) ** 2))
    common = np.bincount(owner, weights=count * its[what])
    likeness: NDArray[np.float64] = common / (norm * norm[main])
    return likeness


def _tokens(trace: Trace, rows: Int64) -> Int64:
    """What each operation is, as one integer: kind, kind of copy, kernel name."""
    operations = trace.operations
    kind = operations.kind[rows].astype(np.int64)
    copy = operations.copy_kind[rows].astype(np.int64)
    name = factorize(np.where(kind == Kind.KERNEL, operations.name[rows], 0))[0]
    return (name.astype(np.int64) << 16) | (kind << 8) | (copy & 0xFF)


_SHAPE = re.compile(r"<.*|\d+")


def _families(trace: Trace, tokens: Int64, rows: Int64) -> Int64:
    """The same with kernels' names shorn of digits and template arguments."""
    codes, distinct = factorize(tokens)
    first = np.full(len(distinct), -1)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    families: dict[str, int] = {}
    names = [_SHAPE.sub("", operation_name(trace, int(rows[k]))) for k in first.tolist()]
    table = np.array([families.setdefault(name, len(families)) for name in names], np.int64)
    return table[codes]


def _sequence(trace: Trace, rows: Int64, tokens: Int64) -> Sequence:
    operations, calls = trace.operations, trace.calls
    launch = operations.launch[rows]
    begun = calls.start[launch]
    owner = calls.thread[launch]
    thread = int(np.bincount(owner).argmax())
    held = np.flatnonzero(host_waits(trace).last(calls) & (calls.thread == thread))
    back = np.sort(calls.end[held])
    first = np.searchsorted(begun, back)  # the operation launched next after each wait
    copies = (operations.kind[rows] == Kind.MEMCPY) & (operations.copy_kind[rows] == CopyKind.HTOD)
    # A wait right after an upload is the upload's own (a pageable batch), no stop check.
    own = (first > 0) & copies[np.maximum(first - 1, 0)]
    waits = np.unique(first[~own])
    last_back = np.concatenate(([np.iinfo(np.int64).min], back))[np.searchsorted(back, begun)]
    done = np.concatenate((begun[:1], np.maximum.accumulate(calls.end[launch])[:-1]))
    uploads = copies.copy()
    uploads[1:] &= ~copies[:-1]
    return Sequence(
        tokens=tokens,
        launch=begun,
        quiet=np.maximum(begun - np.maximum(done, last_back), 0),
        waits=waits,
        uploads=np.flatnonzero(uploads),
    )


def _come(operations: int) -> str:
    return "1 operation comes" if operations == 1 else f"{operations} operations come"


def _series(
    trace: Trace, rows: Int64, sequence: Sequence, edges: Int64, kept: Bool, loop: Loop,
    on_device: bool,
) -> tuple[StepSeries, int]:  # fmt: skip
    """The steps as a series; and the operations left alone because another loop launched them."""
    operations, calls = trace.operations, trace.calls
    launch = operations.launch[rows]
    thread = int(np.bincount(calls.thread[launch]).argmax())
    process = int(np.bincount(operations.process[rows]).argmax())
    if on_device:
        times = _gpu_times(trace, rows, edges)
    else:
        times = _times(trace, rows, thread, sequence, edges)
    start, end = times[:-1][kept], times[1:][kept]

    step_of = np.full(len(operations), -1, np.int32)
    launched = np.flatnonzero((operations.launch >= 0) & (operations.process == process))
    owner = calls.thread[operations.launch[launched]]
    # Threads that never touch the loop's streams run something else.
    theirs = np.isin(owner, np.unique(calls.thread[launch]))
    launched, owner = launched[theirs], owner[theirs]
    begun = calls.start[operations.launch[launched]]
    at = np.searchsorted(start, begun, side="right") - 1
    inside = (at >= 0) & (begun < end[np.maximum(at, 0)])
    step_of[launched[inside]] = at[inside]
    if on_device:  # one launch, many steps: their operations stand as they ran
        step_of[np.isin(operations.launch, launch)] = -1
        step_of[rows] = _by_place(edges, kept, len(rows))
    timed = inside & (owner != thread)
    names, counts = np.unique(owner[timed], return_counts=True)
    count = len(start)
    number = np.flatnonzero(kept)
    number -= number[:1]
    series = StepSeries(
        pattern=INFERRED.format(loop.period),
        asked=0,
        thread=trace.threads[thread],
        process=process,
        thread_index=thread,
        start=start,
        end=end,
        name=np.full(count, NULL),
        number=number,
        unclosed=np.zeros(count, np.bool_),
        never_closed=np.empty(0, np.int64),
        thread_of=np.full(count, thread, np.int32),
        own=np.ones(count, np.bool_),
        step_of=step_of,
        by_time=int(np.count_nonzero(timed)),
        other_threads=dict(zip(names.tolist(), counts.tolist(), strict=True)),
    )
    return series, int(np.count_nonzero(~theirs))


def _inside_launches(launch: Int64, edges: Int64) -> bool:
    """Whether one launch brought operations of several steps: a loop that the device runs."""
    inner = edges[(edges > 0) & (edges < len(launch))]
    return bool((launch[inner] == launch[inner - 1]).any())


def _gpu_times(trace: Trace, rows: Int64, edges: Int64) -> Int64:
    """Time of each boundary on the GPU: with no host between the steps there is no other."""
    operations = trace.operations
    start = operations.start[rows]
    last = int(operations.end[rows].max())
    return np.where(edges < len(rows), start[np.minimum(edges, len(rows) - 1)], last)


def _by_place(edges: Int64, kept: Bool, count: int) -> Code:
    """The step of each operation of the sequence by its place, -1 outside the kept ones."""
    number = np.where(kept, np.cumsum(kept) - 1, -1)
    at = np.searchsorted(edges, np.arange(count), side="right") - 1
    inside = (at >= 0) & (at < len(kept))
    return np.where(inside, number[np.clip(at, 0, len(kept) - 1)], -1).astype(np.int32)


def _times(trace: Trace, rows: Int64, thread: int, sequence: Sequence, edges: Int64) -> Int64:
    """Host time of each boundary: when the wait before it returned, else its first launch."""
    operations, calls = trace.operations, trace.calls
    n = len(rows)
    begun = sequence.launch
    held = np.flatnonzero(host_waits(trace).last(calls) & (calls.thread == thread))
    back = np.sort(calls.end[held])
    launch_end = calls.end[operations.launch[rows]]
    after = int(launch_end[-1]) if edges[-1] == n else 0
    times = np.where(edges < n, begun[np.minimum(edges, n - 1)], after)
    before = begun[np.maximum(edges - 1, 0)]
    if len(back):
        # At the end of the sequence the first wait to return counts: what follows is not the loop.
        k = np.where(edges < n, np.searchsorted(back, times, side="right") - 1,
                     np.searchsorted(back, before, side="left"))  # fmt: skip
        k = np.clip(k, 0, len(back) - 1)
        waited = (back[k] > before) & ((back[k] <= times) | (edges == n))
        times = np.where(waited, back[k], times)
    return times


def _explain(
    trace: Trace, rows: Int64, streams: str, loop: Loop, phase: Phase, kept: Bool,
    covered: int, other: int, by_family: bool, on_device: bool,
) -> str:  # fmt: skip
    steps = int(np.count_nonzero(kept))
    first = _short(operation_name(trace, int(rows[(loop.marks[0] + phase.place) % len(rows)])))
    said = [
        f"{steps} steps of {loop.period} operations on {streams}, {loop.agreement:.1%} the same "
        f"from step to step, {covered / len(rows):.0%} of its operations"
    ]
    if phase.witnesses:
        said.append(f"A step begins with {first}: {'; '.join(w.text for w in phase.witnesses)}")
    else:
        said.append(f"Where a step begins is not known: taken to be {first}")
    if on_device:
        said.append(
            "One launch brought several steps: they run on the device, by whose times they are told"
        )
    if phase.doubtful:
        said.append("They may be layers of a step: no wait and no edge of the recording tells")
    if phase.seldom:
        said.append(
            "They may be turns of a loop inside a longer step: the host waits in fewer than half"
        )
    if loop.inner:
        said.append(f"Each holds about {loop.inner[1]} repeats of {loop.inner[0]} operations")
    left = len(kept) - steps
    if left:
        said.append(f"Left out, other work or another length: {left}")
    if by_family:
        said.append("Kernels were compared by family, without digits and template arguments")
    if other:
        said.append(f"{other} operations launched by threads of another loop belong to no step")
    return ". ".join(said) + "."


def _short(kernel: str) -> str:
    """A kernel's own name, without return type, namespaces, template and call arguments.

    >>> _short("void at::native::(anonymous namespace)::fill<float, 2>(float*, int)")
    'fill'
    """
    bare = re.split(r"[<(]", kernel.replace("(anonymous namespace)::", ""))[0]
    return bare.rpartition("::")[2].rpartition(" ")[2][:60] if "::" in bare else bare[:60]
