"""One call from a trace, in memory or stored, to all its figures."""

from __future__ import annotations

import os

from msgspec.structs import replace

from .gains.busy import Busy
from .gains.of_series import SeriesGains, gains_of, work_of
from .idle.choose.choice import Chosen
from .idle.choose.repeats import not_looked_for, small, steps_in_memory
from .idle.counts import Counted, count_rows
from .idle.errors import NoSuchDevice, TooManyThreads
from .idle.figures import SeriesSummary, summarize_host
from .idle.gaps import edges
from .idle.kept import known_choice, known_facts, known_steps
from .idle.launched import Extent, Launched, Launches, find_launches
from .idle.narrow import Narrowed, narrow
from .idle.owners import WholeSteps
from .idle.parts import Parts, StoredParts, WholeParts
from .idle.physics.call_ids import CallsLost, calls_lost
from .idle.sizes import Progress, Sizes, quiet
from .idle.steps import MAX_SERIES
from .idle.totals import Totals
from .model.errors import NotEnoughMemory
from .model.trace import Trace
from .outline import outlined_gaps, outlined_trace
from .question import Question
from .readers.open import open_trace
from .report import TraceReport
from .store.opened import Store
from .store.whole import Whole
from .unrecorded import why_as_recorded, without_recorder
from .verdicts.chosen import judge_inferred
from .verdicts.judge import judge

_Opened = tuple[Parts, Counted, Launches, CallsLost, Chosen | None, str]


def analyze(
    source: Trace | Store | str | os.PathLike[str],
    question: Question | None = None,
    sizes: Sizes | None = None,
    progress: Progress = quiet,
) -> TraceReport:
    """Account for the idle time of a trace, which is read unless one is given.

    A stored trace is read in parts of these sizes: its report holds no rows, but the details that
    the question wants. (A small one, in which repeats of the work are looked for, is read whole.)
    Where its manifest proves what a trace in memory is without its recorder, the report is of that.
    Raises TraceError where the file cannot be read, or has no such device or step.
    """
    question = question or Question()
    if isinstance(source, Store):
        report = _analyzed(_stored(source, question, sizes or Sizes(), progress), question)
        return replace(report, as_recorded=why_as_recorded(source.source.manifest, question))
    trace = source if isinstance(source, Trace) else open_trace(source)
    return without_recorder(trace, question, _whole)


def _whole(trace: Trace, question: Question) -> TraceReport:
    return _analyzed(_in_memory(trace, question), question)


def _analyzed(opened: _Opened, question: Question) -> TraceReport:
    parts, counted, whole, lost, chosen, inferred = opened
    narrower, narrowed = narrow(parts, whole, question)
    # Nobody asks for the edges of a window in which no device could be looked at.
    recorded = _recorded(whole)
    window = edges(parts.source, narrower, recorded) if recorded else (None, None)
    walked = whole if window == (None, None) else find_launches(parts, *window)
    walked = _with_idle(walked, whole, window, recorded)
    devices = _devices(parts, walked, narrowed.launched(whole), len(narrowed.place), question)
    totals = Totals(parts, question, counted, narrowed, walked, window, devices)
    if question.definitions:
        for part in parts.walk("definitions", *window, None):
            totals.extend(part)
    for part in parts.walk("gaps", *window, devices):
        totals.add(part)
    for one in totals.devices.values():
        if one.operations == 0:
            totals.add(parts.idle(one.device.index, one.window_start, one.window_end))
    return _report(parts, question, narrowed, counted, totals, lost, chosen, inferred)


def _in_memory(trace: Trace, question: Question) -> _Opened:
    """The parts, what was counted of all rows, what all steps launched and what they lost; how the
    steps were chosen, and how sure inferred ones are."""
    tables, sizes = Whole(trace), Sizes.all(trace)
    found = steps_in_memory(trace, tables, question)
    parts = WholeParts(trace, WholeSteps(found.steps))
    lost = calls_lost(tables, found.steps.series, sizes)
    counted, whole = count_rows(tables, sizes), find_launches(parts)
    return parts, counted, whole, lost, found.chosen, found.inferred


def _stored(store: Store, question: Question, sizes: Sizes, progress: Progress) -> _Opened:
    if question.infer:
        raise NotEnoughMemory(
            f"{store.path}: --infer-steps needs the whole trace in memory",
            remedy="name the steps with --step, or allow more with --memory",
        )
    chosen = None if question.patterns else known_choice(store, sizes)
    if chosen and not chosen.ranges and store.operations.rows:
        if small(store):
            return _in_memory(store.trace(), question)
        chosen = not_looked_for(chosen)
    facts = known_facts(store, sizes, progress)
    patterns = chosen.patterns if chosen else question.patterns
    steps, whole, lost = known_steps(store, patterns, sizes, progress)
    parts = StoredParts(store, steps, sizes, progress, facts.by_stream())
    return parts, facts.counted, whole, lost, chosen, ""


def _recorded(whole: Launches) -> tuple[int, int] | None:
    """Where the first operation of the trace begins and the last one ends, ns."""
    found = whole.extents.values()
    if not found:
        return None
    return min(one.first_start for one in found), max(one.last_end for one in found)


def _with_idle(
    walked: Launches,
    whole: Launches,
    window: tuple[int | None, int | None],
    recorded: tuple[int, int] | None,
) -> Launches:
    """The same, with the devices that are idle through the whole window; none where the window
    lies outside of what was recorded."""
    if recorded is None or walked is whole:
        return walked
    lo = recorded[0] if window[0] is None else window[0]
    hi = recorded[1] if window[1] is None else window[1]
    if hi <= recorded[0] or lo >= recorded[1]:
        return walked
    idle = dict.fromkeys(whole.extents, Extent(0, lo, hi))
    return replace(walked, extents=idle | walked.extents)


def _devices(
    parts: Parts,
    walked: Launches,
    launched: dict[tuple[int, int], Launched],
    threads: int,
    question: Question,
) -> tuple[int, ...]:
    """The devices of the window, or of them the one that is asked for.

    `launched`: what the steps looked at launched, in the window or not, and `threads` how many
    series they are. Raises NoSuchDevice if it did nothing, and TooManyThreads if steps of many
    threads ran on many devices.
    """
    source, devices = parts.source, tuple(sorted(walked.extents))
    if question.device is not None:
        there = sorted({source.devices[d].ordinal for d in devices})
        devices = tuple(d for d in devices if source.devices[d].ordinal == question.device)
        if not devices:
            said = ", ".join(map(str, there)) or "none"
            raise NoSuchDevice(
                f"{source.path} has no work on device {question.device} (has: {said})"
            )
    pairs = sum(device in devices for _, device in launched)
    if pairs > MAX_SERIES:
        raise TooManyThreads(
            f"{source.path}: {threads} threads with steps on {len(source.devices)} GPUs "
            f"are {pairs} pairs, more than the {MAX_SERIES} that can be told apart",
            remedy="choose ranges of fewer threads with --step, or one GPU with --device",
        )
    return devices


def _report(
    parts: Parts,
    question: Question,
    narrowed: Narrowed,
    counted: Counted,
    totals: Totals,
    lost: CallsLost,
    chosen: Chosen | None,
    inferred: str,
) -> TraceReport:
    source, found, series = parts.source, tuple(totals.devices.values()), totals.series()
    steps = narrowed.steps
    outside = bool(parts.steps.steps.series)
    verdicts = (
        *judge_inferred(source, counted, chosen, inferred),
        *judge(
            source, found, steps, series, counted, lost, chosen, outside=outside, cut=question.cut
        ),
    )
    all_window, all_idle = totals.everywhere()
    report = TraceReport(
        trace=source if isinstance(source, Trace) else outlined_trace(source),
        path=question.path or str(source.path),
        label=question.label or source.source.label,
        devices=totals.summaries(),
        all_window_ns=all_window,
        all_idle_ns=all_idle,
        series=series,
        host=tuple(summarize_host(one) for one in steps.series),
        verdicts=verdicts,
        chosen=chosen,
        gaps=tuple(gaps for gaps, _ in totals.rows),
        attributions=tuple(split for _, split in totals.rows),
        steps=steps,
        gains=_gains(parts, question, narrowed, totals, series),
        work=_work(parts, question, totals, series),
        processes=counted.processes,
        detailed=totals.details(),
    )
    if report.detailed is None:
        return report
    outlined = (
        outlined_gaps(t.device, t.window_start, t.window_end, t.idle, t.gaps) for t in found
    )
    return replace(report, gaps=tuple(outlined), steps=replace(steps, series=()))


def _gains(
    parts: Parts,
    question: Question,
    narrowed: Narrowed,
    totals: Totals,
    summaries: tuple[SeriesSummary, ...],
) -> tuple[SeriesGains, ...]:
    """What each change would win of the loops; nothing where nobody asked."""
    if not question.gains:
        return ()
    series = [(narrowed.steps.series[k], launched) for k, launched in totals.launched]
    return gains_of(parts, summaries, series, question)


def _work(
    parts: Parts, question: Question, totals: Totals, series: tuple[SeriesSummary, ...]
) -> Busy | None:
    """What the GPU was busy with in all, where no steps say it."""
    if series or not question.gains:
        return None
    windows = [
        (k, one.window_start, one.window_end, one.window_end - one.window_start - one.idle)
        for k, one in totals.devices.items()
    ]
    return work_of(parts, windows, question.comm)
