"""The sentences of an answer about one trace."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from ..figures.units import human, share
from ..gains.changes import changes
from ..gains.ladder import Ladder, Rung
from ..gains.of_series import SeriesGains
from ..gains.stalls import Stalls
from ..idle.causes import causes
from ..idle.engines import of_steady_state
from ..idle.figures import SeriesSummary, Steady
from ..model.short_names import shortened
from ..model.text import plain
from ..report import TraceReport
from ..verdicts.judge import Level
from .bare import without_profiler
from .busy import busy_sentences
from .choose import Chosen, candidates, choose, mostly, stalled_steps
from .kinds import kind_named
from .next_commands import next_commands
from .sentence import Piece, Sentence, plain_text, quoted, sentence

LITTLE = 0.03
"""Idle share of a step below which a GPU counts as busy."""
ALIKE = 0.9
"""Share of the most operations from which a series does as much: of those, the one whose GPU idles
most is told of."""
LONGEST = 80
"""Characters of a name in a sentence."""
IN_TABLE = 40
"""Characters of a kernel's name in a table of changes."""
_UNKNOWN = "unknown"
TOO_LONG = "That code takes longer than the rest of the step: beside it, it would set the pace."
"""Of code that can be moved elsewhere, and would not be gone by that."""
UNMARKED = "(no range)"
"""Stands for code that no range marks."""


class Answer(Struct, frozen=True):
    """What a trace says, in sentences."""

    kind: str | None
    """None where no gain was looked for, or none can be believed."""
    title: str
    """Of the kind; empty where there is none."""
    series: int | None
    """Which series of the report it is about."""
    rung: Rung | None
    """What would be won, if anything is worth it."""
    lead: Sentence
    """How much the GPU idles."""
    because: tuple[Sentence, ...]
    """What for, and in whose code."""
    remedy: tuple[Sentence, ...] = ()
    """What to do."""
    gain: tuple[Sentence, ...] = ()
    """What that would win."""
    doubts: tuple[Sentence, ...] = ()
    """Why not to be sure of it."""
    commands: tuple[str, ...] = ()
    """Arguments of `harness` for what to type next."""
    idle: float = 0.0
    """Share of the time in which the GPU that it is about idles."""

    @property
    def despite(self) -> bool:
        """Whether there is something to win although the GPU is busy nearly all of the time."""
        return self.rung is not None and self.idle < LITTLE

    @property
    def sentences(self) -> tuple[Sentence, ...]:
        """All of them, in reading order."""
        return (self.lead, *self.because, *self.remedy, *self.gain, *self.doubts)

    @property
    def text(self) -> str:
        """As a terminal shows it, one sentence after the other."""
        return " ".join(plain_text(one) for one in self.sentences)


def answer_of(report: TraceReport, typed: tuple[str, ...] = ()) -> Answer:
    """The answer; `typed`: options that say which part of the trace is meant, for the commands."""
    if not report.gaps or report.level("device") is Level.INVALID:
        return Answer(None, "", None, None, *_nothing(report))
    commands = next_commands(report, None, typed)
    place = _main(report)
    if place is None:
        worst = _worst_device(report)
        lead, *rest = _of_device(report, worst)
        return Answer(
            None, "", None, None, lead, tuple(rest), _of_busy_window(report, worst),
            doubts=_sure(report, None), commands=commands, idle=_idle_of(report, worst),
        )  # fmt: skip
    summary = report.series[place]
    steady = summary.steady or summary.own_edges
    assert steady is not None
    gains = next((one for one in report.gains if one.series == place), None)
    lead = _lead(report, summary, steady)
    idle = steady.idle_ns / steady.period_ns if steady.period_ns else 0.0
    if gains is None or gains.ladder is None or not report.calls_believed:
        told = busy_sentences(gains.busy, steady.period_ns) if gains and gains.busy else ()
        because = (*_cause(report, steady), *told, *_no_gains(report, gains))
        return Answer(
            None, "", place, None, lead, because, _advice(report, steady),
            doubts=_sure(report, None), commands=commands, idle=idle,
        )  # fmt: skip
    chosen = choose(gains, steady, causes_believed=report.calls_believed)
    because, remedy, win = _of_gains(chosen, gains, steady)
    return Answer(
        kind=chosen.kind.name,
        title=chosen.kind.title,
        series=place,
        rung=chosen.rung,
        lead=lead,
        because=(*because, *without_profiler(report, steady)),
        remedy=remedy,
        gain=win,
        doubts=_sure(report, gains.ladder),
        commands=next_commands(report, chosen, typed),
        idle=idle,
    )


def _main(report: TraceReport) -> int | None:
    """The series with most operations among those that have figures, of several that do as much the
    one whose GPU idles most; an engine's decode steps before its prefills."""
    found = [k for k, one in enumerate(report.series) if one.steady or one.own_edges]
    believed = report.level("steps") is not Level.INVALID

    def rank(k: int) -> tuple[bool, int]:
        one = report.series[k]
        return of_steady_state(one.pattern), int(one.table.operations.sum())

    if not found or not believed:
        return None
    steady, most = rank(max(found, key=rank))
    alike = [k for k in found if rank(k)[0] == steady and rank(k)[1] >= ALIKE * most]
    return max(alike, key=lambda k: _idle_share(report.series[k]))


def _idle_share(series: SeriesSummary) -> float:
    steady = series.steady or series.own_edges
    return steady.idle_ns / steady.period_ns if steady and steady.period_ns else 0.0


def _lead(report: TraceReport, summary: SeriesSummary, steady: Steady) -> Sentence:
    idle = steady.idle_ns / steady.period_ns if steady.period_ns else 0.0
    device = report.trace.devices[summary.device]
    who = "The GPU" if len(report.trace.devices) < 2 else device.label
    busy = "is kept busy: it idles only" if idle < LITTLE else "idles"
    origin = report.trace.source.origin
    plural = "" if steady.steps == 1 else "s"
    how = "as recorded" if origin == "measured" else origin
    return (
        Piece(f"{plain(who, LONGEST)} {busy} "),
        Piece(human(steady.idle_ns), "strong"),
        Piece(" of every "),
        Piece(human(steady.period_ns), "strong"),
        Piece(" step ("),
        Piece(share(idle), "strong"),
        Piece(f"), {how}, over {steady.steps} step{plural}."),
    )


_Parts = tuple[tuple[Sentence, ...], tuple[Sentence, ...], tuple[Sentence, ...]]


def _of_gains(chosen: Chosen, gains: SeriesGains, steady: Steady) -> _Parts:
    """Why, what to do, and what it would win."""
    rung, kind, ladder = chosen.rung, chosen.kind, gains.ladder
    remedy = (sentence(kind.remedy),)
    if rung is None:
        told = busy_sentences(gains.busy, steady.period_ns) if gains.busy else ()
        return (filled(kind.because, None), *told), remedy, ()
    because: tuple[Sentence, ...] = (filled(kind.because, chosen.about),)
    if rung.change == "stalled" and gains.stalls:
        found = gains.stalls
        return (*because, _longest(found)), (*_look(found, ladder), *remedy), (_stalled(found),)
    win: tuple[Sentence, ...] = (_win(chosen, rung, ladder, steady),)
    if chosen.stalls:
        stalled = filled(kind_named("stalled-step").because, stalled_steps(chosen.stalls))
        because = (*because, stalled, _longest(chosen.stalls))
        win = (*win, _stalled(chosen.stalls))
    because = (*because, *_blocked(chosen.about), *_summed(chosen.about, ladder))
    if _too_long(chosen, ladder):
        because = (*because, sentence(TOO_LONG))
    return because, remedy, win


def _summed(rung: Rung | None, ladder: Ladder | None) -> tuple[Sentence, ...]:
    """Whose time it is, where a step has more of it than it takes."""
    if rung is None or ladder is None or ladder.clocks < 2:
        return ()
    if rung.change != "host" or rung.spent_ns <= ladder.recorded_ns:
        return ()
    return ((Piece(f"These are the times of {ladder.clocks} threads that launch, added up."),),)


def _too_long(chosen: Chosen, ladder: Ladder | None) -> bool:
    """Whether the host's own code takes longer than what would be left of a step: run beside it,
    it would set the pace."""
    rung, about = chosen.rung, chosen.about
    if rung is None or about is None or ladder is None or chosen.kind.name != "host-code":
        return False
    return about.spent_ns > ladder.clocks * rung.step_ns


def _look(found: Stalls, ladder: Ladder | None) -> list[Sentence]:
    """Where to look in the steps that stalled, as far as the largest gain tells."""
    rung = next((one for one in candidates(ladder) if one.where), None) if ladder else None
    if rung is None:
        return []
    which = "them" if len(found.numbers) > 1 else "it"
    where = Piece(plain(rung.where, LONGEST), "code")
    return [(Piece("Look at "), where, Piece(f" in {which}."))]


def _blocked(rung: Rung | None) -> list[Sentence]:
    """What the recorder noted of a thread that seemed to be busy."""
    if rung is None or rung.blocked_ns is None or not rung.spent_ns:
        return []
    if rung.blocked_ns >= 0.5 * rung.spent_ns:
        return [
            sentence(
                f"For **{human(rung.blocked_ns)}** of that the thread did not run: it waited for a "
                "lock, a file or another process, it slept, or it had no core."
            )
        ]
    return []


def filled(template: str, rung: Rung | None) -> Sentence:
    """The sentence of a template with the names and figures of a gain."""
    if rung is None:
        return sentence(template)
    values = {
        "where": plain(rung.where, LONGEST) or UNMARKED,
        "call": plain(rung.call, LONGEST),
        "spent": human(rung.spent_ns),
        "idle": human(rung.idle_ns),
        "gain": human(rung.gain_ns),
        "count": times(rung.count),
        "number": f"{rung.count:,.0f}",
    }
    return tuple(Piece(one.text.format(**values), one.kind) for one in sentence(template))


def times(count: float) -> str:
    """How often something happens in a step."""
    if abs(count - round(count)) < 0.05 and round(count) > 0:
        count = round(count)
        often = {1: "once", 2: "twice"}.get(int(count), f"{count:,} times")
        return f"{often} a step"
    if count < 1:
        return f"once in {max(1 / count, 2):.0f} steps" if count else "never"
    return f"{count:,.1f} times a step"


def _longest(found: Stalls) -> Sentence:
    return (
        Piece("They took up to " if len(found.numbers) > 1 else "It took "),
        Piece(f"{found.longest_ns / found.median_ns:.0f} times", "strong"),
        Piece(" as long as the median step."),
    )


def _stalled(found: Stalls) -> Sentence:
    return (
        Piece(f"Without {'them' if len(found.numbers) > 1 else 'it'} a step takes "),
        Piece(human(found.without_ns), "strong"),
        Piece(" on average, instead of "),
        Piece(human(found.mean_ns), "strong"),
        Piece("."),
    )


def _win(chosen: Chosen, rung: Rung, ladder: Ladder | None, steady: Steady) -> Sentence:
    gain = (
        Piece(human(rung.gain_ns), "strong"),
        Piece(" a step ("),
        Piece(share(rung.gain_ns / steady.period_ns), "strong"),
        Piece(")"),
    )
    if chosen.at_most or ladder is None:
        return (Piece("That could win at most "), *gain, Piece(", the idle time that it causes."))
    error = missed(ladder, rung.unsure_ns)
    return (
        Piece("That would win up to " if _too_long(chosen, ladder) else "That would win "),
        *gain,
        Piece(" and leave "),
        Piece(human(max(rung.step_ns, 0.0)), "strong"),
        Piece(f", give or take {error}, by a replay of {replayed_steps(ladder)}."),
    )


def replayed_steps(ladder: Ladder) -> str:
    """`18 steps`, or `12 of 98 steps` where a part of them was taken."""
    if ladder.steps < ladder.of_steps:
        return f"{ladder.steps} of {ladder.of_steps} steps"
    return "1 step" if ladder.steps == 1 else f"{ladder.steps} steps"


def missed(ladder: Ladder, more_ns: float = 0.0) -> str:
    """By how much the replay misses a step, and what else is not known of a change."""
    return within(ladder.error_ns + more_ns)


def within(ns: float) -> str:
    """An error as a person reads it: no smaller than the clocks of traces are exact."""
    return human(ns) if ns >= 100 else "less than 0.1 µs"


def change_text(rung: Rung, among: Iterable[Rung] = ()) -> str:
    """What the change of a rung is, in a few words; the name of a kernel is told from those of
    the other rungs `among` which it stands."""
    where = plain(rung.where, LONGEST) or UNMARKED
    if rung.change == "kernel":
        others = dict.fromkeys(one.where for one in among if one.change == "kernel")
        where = shortened([rung.where, *others], IN_TABLE)[0]
    call = plain(rung.call, LONGEST)
    for change in changes():
        if change.name == rung.change:
            return change.does.format(where=quoted(where), call=call, name=where)
    return rung.change


def _cause(report: TraceReport, steady: Steady) -> tuple[Sentence, ...]:
    if not report.calls_believed:
        return (sentence("What it waits for cannot be told from this trace."),)
    if steady.idle_ns < LITTLE * steady.period_ns or not steady.idle_ns:
        return ()
    name, ns = max(steady.causes.items(), key=lambda item: item[1])
    return (_of_cause(name, ns / steady.idle_ns),)


def _advice(report: TraceReport, steady: Steady) -> tuple[Sentence, ...]:
    """What usually removes the idle time of the commonest cause; to record more removes none."""
    idle = steady.idle_ns / steady.period_ns if steady.period_ns else 0.0
    name = max(steady.causes.items(), key=lambda item: item[1])[0]
    if idle < LITTLE or not (report.calls_believed or name == _UNKNOWN):
        return ()
    remedy = next(one.remedy for one in causes() if one.name == name)
    begins = "To learn what it waits for" if name == _UNKNOWN else "What usually removes it"
    return ((Piece(f"{begins}: {remedy}."),),)


def _of_cause(name: str, part: float) -> Sentence:
    meaning = next(one.meaning for one in causes() if one.name == name)
    return (
        Piece(share(part), "strong"),
        Piece(" of the idle time is "),
        Piece(name, "code"),
        Piece(f": {meaning}."),
    )


def _no_gains(report: TraceReport, gains: SeriesGains | None) -> tuple[Sentence, ...]:
    return _no_ladder(gains) if gains and report.calls_believed else ()


def _no_ladder(gains: SeriesGains) -> tuple[Sentence, ...]:
    if not gains.reason:
        return ()
    return ((Piece(f"What changes would win is not known: {plain(gains.reason, 400)}."),),)


def _sure(report: TraceReport, ladder: Ladder | None) -> tuple[Sentence, ...]:
    """Why to doubt it: the verdicts by their codes, since whoever shows an answer shows their
    reasons too; and what the replay left out."""
    order = (Level.INVALID, Level.DEGRADED)
    told = sorted(
        (one for one in report.verdicts if one.level in order),
        key=lambda one: order.index(one.level),
    )
    doubts = [", ".join(dict.fromkeys(verdict.code for verdict in told))] if told else []
    if ladder and ladder.without_call:
        doubts.append(f"{ladder.without_call:,} operations without a launch call are left out")
    return ((Piece(f"{'; '.join(doubts)}."),),) if doubts else ()


def _idle_of(report: TraceReport, device: int) -> float:
    figures = report.devices[device]
    return figures.idle_ns / figures.window_ns if figures.window_ns else 0.0


def _worst_device(report: TraceReport) -> int:
    return max(range(len(report.devices)), key=lambda k: _idle_of(report, k))


def _of_device(report: TraceReport, worst: int) -> tuple[Sentence, ...]:
    figures, idle = report.devices[worst], _idle_of(report, worst)
    lines: list[Sentence] = [
        (
            Piece(f"{plain(report.gaps[worst].device.label, LONGEST)} idles "),
            Piece(human(figures.idle_ns), "strong"),
            Piece(" of the "),
            Piece(human(figures.window_ns), "strong"),
            Piece(" recorded ("),
            Piece(share(idle), "strong"),
            Piece(")."),
        )
    ]
    if report.work is not None and idle < LITTLE:
        return (*lines, *busy_sentences(report.work, figures.window_ns, ""))
    if report.calls_believed and figures.idle_ns:
        name, ns = max(figures.causes.items(), key=lambda item: item[1])
        lines.append(_of_cause(name, ns / figures.idle_ns))
    if report.work is not None:
        lines += busy_sentences(report.work, figures.window_ns, "")
    return tuple(lines)


def _of_busy_window(report: TraceReport, worst: int) -> tuple[Sentence, ...]:
    """What to do about a GPU that is kept busy, by what it does."""
    if report.work is None or _idle_of(report, worst) >= LITTLE:
        return ()
    kind = kind_named(mostly(report.work, report.devices[worst].window_ns))
    return (sentence(kind.remedy),)


def _nothing(report: TraceReport) -> tuple[Sentence, tuple[Sentence, ...]]:
    """That there is no answer, and the verdicts that say why."""
    if not report.gaps:
        lead = sentence("This trace holds no GPU activity.")
    else:
        lead = sentence("This trace says nothing about the GPU that can be believed.")
    reasons = (v for v in report.verdicts if v.figures in ("device", "all"))
    return lead, tuple((Piece(f"{plain(v.reason, 400)}."),) for v in reasons)
