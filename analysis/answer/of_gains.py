"""What is said of gains: why the GPU idles, what to do, and what that would win."""

from __future__ import annotations

from collections.abc import Iterable

from ..figures.units import human, share
from ..gains.changes import changes
from ..gains.ladder import Ladder, Rung
from ..gains.of_series import SeriesGains
from ..gains.stalls import Stalls
from ..idle.figures import Steady
from ..model.short_names import shortened
from ..model.text import plain
from .busy import busy_sentences
from .choose import Chosen, candidates, host_close_behind, stalled_steps
from .kinds import kind_named
from .sentence import Piece, Sentence, quoted, sentence

LONGEST = 80
"""Characters of a name in a sentence."""
IN_TABLE = 40
"""Characters of a kernel's name in a table of changes."""
TOO_LONG = "That code takes longer than the rest of the step: beside it, it would set the pace."
"""Of code that can be moved elsewhere, and would not be gone by that."""
CLOSE = "The host is close behind: without `{where}` a step would still take **{step}**."
SHORTEN_BOTH = (
    "Shorten both, the kernels (lower precision, fusion, less work) and what the host does in a "
    "step: either alone wins little."
)
"""What is said, and what to do, where the GPU and the host need almost as long as each other."""
UNMARKED = "(no range)"
"""Stands for code that no range marks."""

Parts = tuple[tuple[Sentence, ...], tuple[Sentence, ...], tuple[Sentence, ...]]
"""Why, what to do, and what it would win."""


def of_gains(chosen: Chosen, gains: SeriesGains, steady: Steady, *, beside_bare: bool) -> Parts:
    """Why, what to do, and what it would win. `beside_bare`: a step without the profiler is told,
    too."""
    rung, kind, ladder = chosen.rung, chosen.kind, gains.ladder
    remedy = (sentence(kind.remedy),)
    if rung is None:
        why: tuple[Sentence, ...] = (filled(kind.because, None),)
        if gains.busy is None:
            return why, remedy, ()
        why = (*why, *busy_sentences(gains.busy, steady.period_ns))
        kernel = host_close_behind(ladder, gains.busy) if ladder and kind.name == "gpu" else None
        if kernel is None:
            return why, remedy, ()
        return (*why, filled(CLOSE, kernel)), (sentence(SHORTEN_BOTH),), ()
    because: tuple[Sentence, ...] = (filled(kind.because, chosen.about),)
    if rung.change == "stalled" and gains.stalls:
        found = gains.stalls
        return (*because, _longest(found)), (*_look(found, ladder), *remedy), (_stalled(found),)
    win: tuple[Sentence, ...] = (_win(chosen, rung, ladder, steady, beside_bare),)
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
        "step": human(rung.step_ns),
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


def _win(
    chosen: Chosen, rung: Rung, ladder: Ladder | None, steady: Steady, beside_bare: bool
) -> Sentence:
    gain = (
        Piece(human(rung.gain_ns), "strong"),
        Piece(" a step as recorded (" if beside_bare else " a step ("),
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
