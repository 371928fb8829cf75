"""The sentences of an answer about one trace."""

from __future__ import annotations

from msgspec import Struct

from ..figures.units import human, share
from ..gains.ladder import Ladder, Rung
from ..gains.of_series import SeriesGains
from ..idle.causes import causes
from ..idle.engines import of_steady_state
from ..idle.figures import SeriesSummary, Steady
from ..model.text import plain
from ..report import TraceReport
from ..verdicts.judge import Level
from .bare import beside_recorder, without_profiler
from .busy import busy_sentences
from .choose import choose, mostly
from .kinds import kind_named
from .next_commands import next_commands
from .of_gains import LONGEST, of_gains
from .sentence import Piece, Sentence, plain_text, sentence

LITTLE = 0.03
"""Idle share of a step below which a GPU counts as busy."""
ALIKE = 0.9
"""Share of the most operations from which a series does as much: of those, the one whose GPU idles
most is told of."""
_UNKNOWN = "unknown"


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
    recorder: tuple[Sentence, ...] = ()
    """What its recorder has to do with that."""
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
        return (self.lead, *self.recorder, *self.because, *self.remedy, *self.gain, *self.doubts)

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
            None, "", None, None, lead, tuple(rest), beside_recorder(report, None),
            _of_busy_window(report, worst), doubts=_sure(report, None), commands=commands,
            idle=_idle_of(report, worst),
        )  # fmt: skip
    summary = report.series[place]
    steady = summary.steady or summary.own_edges
    assert steady is not None
    gains = next((one for one in report.gains if one.series == place), None)
    lead, beside = _lead(report, summary, steady), beside_recorder(report, place)
    idle = steady.idle_ns / steady.period_ns if steady.period_ns else 0.0
    if gains is None or gains.ladder is None or not report.calls_believed:
        told = busy_sentences(gains.busy, steady.period_ns) if gains and gains.busy else ()
        because = (*_cause(report, steady), *told, *_no_gains(report, gains))
        return Answer(
            None, "", place, None, lead, because, beside, _advice(report, steady),
            doubts=_sure(report, None), commands=commands, idle=idle,
        )  # fmt: skip
    chosen = choose(gains, steady, causes_believed=report.calls_believed)
    bare = without_profiler(report, steady)
    because, remedy, win = of_gains(chosen, gains, steady, beside_bare=bool(bare))
    return Answer(
        kind=chosen.kind.name,
        title=chosen.kind.title,
        series=place,
        rung=chosen.rung,
        lead=lead,
        because=(*because, *bare),
        recorder=beside,
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
    how = "as recorded" if origin == "measured" else origin
    if report.bare is not None:
        how = "without its recorder"
    of, step, over = " of every ", " step (", f", over {steady.steps} steps"
    if steady.steps == 1:
        of, step, over = " of one step of ", " (", ""
    return (
        Piece(f"{plain(who, LONGEST)} {busy} "),
        Piece(human(steady.idle_ns), "strong"),
        Piece(of),
        Piece(human(steady.period_ns), "strong"),
        Piece(step),
        Piece(share(idle), "strong"),
        Piece(f"), {how}{over}."),
    )


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
