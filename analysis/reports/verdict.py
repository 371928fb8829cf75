"""What the traces say, in sentences that need no knowledge of profilers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from ..answer.bare import without_profiler
from ..answer.compose import answer_of
from ..answer.sentence import Piece, Sentence
from ..compare.samples import Sample
from ..compare.verdict import compare_samples
from ..figures.units import human, share
from ..model.text import plain
from ..scenes.entries import Entry
from ..verdicts.calibration import read_calibration
from .base import Report
from .tables.place import name_of, of_strategies
from .tables.ranks import rank_lines

LITTLE = 0.03
"""Idle share of the period below which a GPU counts as busy."""
CLEARLY = 0.95
"""Share of another's step time below which a difference is spoken of even where no test is sure."""


class Findings(Struct, frozen=True):
    """The headline, and what follows from it."""

    headline: Sentence
    details: tuple[Sentence, ...]
    subject: Entry | None
    """What the headline speaks of."""
    best: Entry | None
    """What was found to be faster than it, if anything."""


def findings(report: Report, entries: Sequence[Entry]) -> Findings:
    """The verdict: about what idles most of its step; measured traces before all others."""
    stepped = [e for e in entries if e.steady is not None]
    for origin in ("measured", "simulated", "synthetic"):
        group = [e for e in stepped if e.origin == origin]
        if group:
            return _of_steps(report, max(group, key=idle_share), group, len(stepped) > 1)
    believed = [e for e in entries if e.believed]
    if believed:
        return _of_device(max(believed, key=idle_share), len(report.traces) > 1)
    return _of_nothing(report)


def idle_share(entry: Entry) -> float:
    """Of the steady-state step, or of the whole window where there are no steps."""
    if entry.steady is not None:
        return entry.steady.idle_ns / entry.steady.period_ns if entry.steady.period_ns else 0.0
    return entry.device.idle_ns / entry.device.window_ns if entry.device.window_ns else 0.0


def _of_steps(report: Report, entry: Entry, group: Sequence[Entry], several: bool) -> Findings:
    steady = entry.steady
    assert steady is not None
    idle = idle_share(entry)
    who: list[Piece] = []
    if several:
        who = [Piece("With "), Piece(plain(entry.title), "code"), Piece(", the GPU ")]
    else:
        who = [Piece("The GPU ")]
    what = "is kept busy: it idles only " if idle < LITTLE else "idles "
    headline = (
        *who,
        Piece(what),
        Piece(human(steady.idle_ns), "strong"),
        Piece(" of every "),
        Piece(human(steady.period_ns), "strong"),
        Piece(" step, "),
        Piece(share(idle), "strong"),
        Piece(" of the time."),
    )
    best, remedy = _remedy(entry, group)
    ranks = [(Piece(line),) for line in rank_lines(report)]
    # Ranks of one job have one step: none is faster than another.
    details = [*sentences_of(entry), *(ranks or remedy)]
    details += _without_profiler([entry] if best is None else [entry, best])
    return Findings(headline, tuple(details), entry, best)


def is_main(entry: Entry) -> bool:
    """Whether the answer about its trace is about these steps."""
    place = answer_of(entry.report).series
    return place is not None and entry.report.series[place] is entry.series


def sentences_of(entry: Entry) -> list[Sentence]:
    """Why the GPU idles, what to do and what that would win, as far as the answer is about it."""
    if not is_main(entry):
        return []
    answer = answer_of(entry.report)
    bare = without_profiler(entry.report, entry.steady) if entry.steady else ()
    # The verdict says it last, of all that it speaks of.
    because = [one for one in answer.because if one not in bare]
    return [*answer.recorder, *because, *answer.remedy, *answer.gain]


def _without_profiler(entries: Sequence[Entry]) -> list[Sentence]:
    """What these steps are when nothing records, where that was measured."""
    pieces: list[Piece] = []
    for entry in entries:
        found = read_calibration(entry.report.trace.source.manifest)
        if found is None or entry.steady is None or entry.report.bare is not None:
            continue
        idle = found.idle_ns(entry.steady)
        pieces += [
            Piece(
                ", "
                if pieces
                else "All this is as recorded. In separate runs without the profiler, "
            ),
            Piece(plain(entry.title), "code"),
            Piece(" takes "),
            Piece(human(found.unprofiled_ns), "strong"),
            Piece(" a step and the GPU idles "),
            Piece(human(idle), "strong"),
            Piece(f" of it ({share(idle / found.unprofiled_ns)}"),
            *_between(found.idle_interval_ns(entry.steady)),
            Piece(f"; not certain: {found.doubt})" if found.doubt else ")"),
        ]
    return [(*pieces, Piece("."))] if pieces else []


def _between(interval: tuple[float, float] | None) -> list[Piece]:
    """From where to where the idle time without the profiler may lie."""
    if interval is None:
        return []
    return [Piece(f"; between {human(interval[0])} and {human(interval[1])}")]


def drained_pieces(name: str) -> Sentence:
    """`Check Stop Condition · cudaStreamSynchronize` as a phrase."""
    where, dot, call = name.rpartition(" · ")
    pieces = [Piece(plain(call if dot else name), "code")]
    if dot:
        pieces += [Piece(" in "), Piece(plain(where), "code")]
    return tuple(pieces)


def _remedy(entry: Entry, group: Sequence[Entry]) -> tuple[Entry | None, list[Sentence]]:
    """What removes it: a strategy of the same report that is faster, else what usually does."""
    steady = entry.steady
    assert steady is not None
    peers = [e for e in group if e is not entry and comparable(entry, e)]
    best, how = _best(entry, peers)
    sentences: list[Sentence] = []
    if best is not None:
        sentences.append(_better(entry, best, how))
    elif peers:
        ours = of_strategies(one.report for one in (entry, *peers))
        other = "strategy" if ours else "trace"
        sentences.append(
            (Piece(f"No other {other} in this report takes clearly less time for a step."),)
        )
    apart = len(group) - 1 - len(peers)
    if apart > 0:
        sentences.append(
            (
                Piece(
                    f"{apart} other {'series was' if apart == 1 else 'series were'} not compared "
                    "with it: the GPU, the workload or the kind of step differs."
                ),
            )
        )
    return best, sentences


def _period(entry: Entry) -> float:
    return entry.steady.period_ns if entry.steady is not None else float("inf")


_HOW = frozenset(
    {"strategy", "cache", "execution", "stop_check", "allocator", "every_k", "lag", "warmup_steps"}
)
"""Keys of a manifest's workload that say how the work is done, not what it is."""


def _work(workload: dict[str, object]) -> list[tuple[str, object]]:
    return sorted((key, value) for key, value in workload.items() if key not in _HOW)


def comparable(a: Entry, b: Entry) -> bool:
    """Whether two series did the same work on the same kind of GPU, as far as traces tell."""

    def sameness(entry: Entry) -> tuple[object, ...]:
        trace = entry.report.trace
        workload = trace.source.manifest.get("workload")
        assert entry.series is not None
        return (
            trace.source.origin,
            trace.devices[entry.series.device].name,
            repr(_work(workload)) if isinstance(workload, dict) else None,
            entry.series.pattern,
        )

    return sameness(a) == sameness(b)


_SURE = ("better", "these runs differ")


def _best(entry: Entry, peers: Sequence[Entry]) -> tuple[Entry | None, str]:
    """The fastest peer that is surely faster, else the fastest that looks so; and how sure."""
    looks: tuple[Entry | None, str] = (None, "")
    for peer in sorted(peers, key=_period):
        how = _faster(entry, peer)
        if how in _SURE:
            return peer, how
        if how and looks[0] is None:
            looks = (peer, how)
    return looks


def _faster(slow: Entry, fast: Entry) -> str:
    """`these runs differ` where the second took significantly less time for a step, `better` where
    another run would too; where it took clearly less but no test can be sure of it, why: `too few`
    or `not significant`; else empty."""
    if _period(fast) >= _period(slow):
        return ""
    samples = []
    for entry in (slow, fast):
        figures = entry.figures
        assert figures is not None
        period = figures.period[figures.steady]
        samples.append(Sample("period", "ns", (period.astype(np.float64),)))
    verdict = compare_samples("", samples[0], samples[1], 0.95).verdict
    if verdict in _SURE:
        return verdict
    return verdict if _period(fast) < CLEARLY * _period(slow) else ""


def _better(entry: Entry, best: Entry, how: str) -> Sentence:
    steady, other = entry.steady, best.steady
    assert steady is not None
    assert other is not None
    less = 1 - other.period_ns / steady.period_ns
    removed = 1 - other.idle_ns / steady.idle_ns if steady.idle_ns else 0.0
    effect = f" removes {share(removed)} of it" if removed > 0 else " idles as much"
    caveats = []
    if how == "these runs differ":
        caveats.append("one recording of each: others may differ")
    elif how != "better":
        fewest = min(steady.steps, other.steps)
        varied = how == "not significant"
        few = "1 step is" if fewest == 1 else f"{fewest} steps are"
        doubt = "the steps vary too much" if varied else f"{few} too few"
        caveats.append(f"{doubt} to say that another recording would agree")
    if not isinstance(entry.report.trace.source.manifest.get("workload"), dict):
        caveats.append("neither recording says what work it did")
    return (
        Piece(plain(best.title), "code"),
        Piece(effect, "strong" if removed > 0 else ""),
        Piece(f": {human(other.idle_ns)} of idle time in a step of "),
        Piece(human(other.period_ns), "strong"),
        Piece(f", {share(less)} shorter" + (f" ({'; '.join(caveats)})." if caveats else ".")),
    )


def _of_device(entry: Entry, several: bool) -> Findings:
    """The answer, which is about the GPU that idles most of its window, as is this."""
    answer = answer_of(entry.report)
    who = (Piece(plain(name_of(entry.report)), "code"), Piece(": ")) if several else ()
    details = [*answer.because, *answer.remedy, *answer.gain]
    reason = next((v for v in entry.report.verdicts if v.figures == "steps"), None)
    if reason is not None and answer.series is None:
        details.append((Piece(f"Figures per step cannot be given: {plain(reason.reason, 400)}."),))
    return Findings((*who, *answer.lead), tuple(details), entry, None)


def _of_nothing(report: Report) -> Findings:
    if not report.traces:
        return Findings((Piece("No trace could be analysed."),), (), None, None)
    details = tuple(
        (Piece(plain(trace.label), "code"), Piece(f": {plain(verdict.reason, 400)}."))
        for trace in report.traces
        for verdict in trace.verdicts
        if verdict.figures in ("device", "all")
    )
    text = "These traces say nothing about the GPU that can be believed."
    if all(not trace.gaps for trace in report.traces):
        text = "These traces hold no GPU activity."
    return Findings((Piece(text),), details[:6], None, None)
