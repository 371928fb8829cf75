"""The steps that are looked at: those of `--steps`, and those in the window."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from ..model.arrays import Bool, Code
from ..model.schema import MAX_TIME as NEVER
from ..question import Question
from .errors import NoSuchStep
from .launched import Launched, Launches, find_launches
from .parts import Parts
from .steps import Steps, StepSeries


class Narrowed(Struct, frozen=True):
    """The steps that are looked at, out of all of the trace."""

    steps: Steps
    place: tuple[int, ...]
    """For each of their series that of the trace."""
    wanted: tuple[Bool, ...]
    """Which steps of that one they are."""

    @classmethod
    def all(cls, steps: Steps, whole: Launches) -> Narrowed:
        """All steps; of a stored trace only a walk knows what other threads launched for them."""
        series = tuple(
            replace(one, by_time=whole.by_time[k], other_threads=dict(whole.other_threads[k]))
            for k, one in enumerate(steps.series)
        )
        masks = tuple(np.ones(len(one), np.bool_) for one in series)
        return cls(
            Steps(series, whole.unassigned, whole.ambiguous), tuple(range(len(series))), masks
        )

    def only(self, wanted: list[Bool]) -> Narrowed:
        """Without the steps that are not wanted, and without series that have none left."""
        series, place, masks = [], [], []
        for k, mask in enumerate(wanted):
            if mask.any():
                series.append(self.steps.series[k].only(mask))
                place.append(self.place[k])
                masks.append(_within(self.wanted[k], mask))
        return Narrowed(replace(self.steps, series=tuple(series)), tuple(place), tuple(masks))

    def series_of(self, k: int, owner: Code) -> StepSeries:
        """The `k`-th series with the operations of a part, by their step among all steps."""
        wanted, one = self.wanted[k], self.steps.series[k]
        if not wanted.all():
            index = np.append(np.where(wanted, np.cumsum(wanted) - 1, -1), -1).astype(np.int32)
            owner = index[owner]
        return replace(one, step_of=owner)

    def dead(self, walked: Launches) -> list[Bool]:
        """For each series which of its steps launched nothing on any device."""
        return [
            ~walked.alive(place, len(mask))[mask]
            for place, mask in zip(self.place, self.wanted, strict=True)
        ]

    def launched(self, walked: Launches) -> dict[tuple[int, int], Launched]:
        """What they launched, by position among their series and device; without those that
        launched nothing."""
        found = {}
        for k, (place, mask) in enumerate(zip(self.place, self.wanted, strict=True)):
            for device in walked.extents:
                launched = walked.launched.get((place, device))
                if launched is not None and (launched.count[mask] > 0).any():
                    found[k, device] = launched.only(mask)
        return found


def _within(mask: Bool, inner: Bool) -> Bool:
    result = mask.copy()
    result[mask] = inner
    return result


def narrow(parts: Parts, whole: Launches, question: Question) -> tuple[Question, Narrowed]:
    """The question with the window that the steps asked for have, and the steps in it.

    `whole`: what all steps launched. Raises NoSuchStep where there is none.
    """
    asked, narrowed = question, Narrowed.all(parts.steps.steps, whole)
    if asked.steps != (None, None):
        question, narrowed = _by_number(parts, whole, question, narrowed)
    if asked.start is not None or asked.end is not None:
        narrowed = _by_window(parts, whole, question, narrowed)
    return question, narrowed


def _by_number(
    parts: Parts, whole: Launches, question: Question, narrowed: Narrowed
) -> tuple[Question, Narrowed]:
    series = narrowed.steps.series
    wanted = [_numbered(one, *question.steps) for one in series]
    if not any(mask.any() for mask in wanted):
        raise _no_such_steps(parts.source.path, series, question.steps)
    narrowed = narrowed.only(wanted)
    start, end = _gpu_extent(parts, whole, question, narrowed) or _host_extent(
        narrowed.steps.series
    )
    question = replace(
        question,
        start=start if question.start is None else question.start,
        end=end if question.end is None else question.end,
    )
    return question, narrowed


def _numbered(one: StepSeries, first: int | None, stop: int | None) -> Bool:
    """Mask of the steps numbered from `first` up to, not with, `stop`."""
    wanted = np.ones(len(one), np.bool_)
    if first is not None:
        wanted &= one.number >= first
    if stop is not None:
        wanted &= one.number < stop
    return wanted


def _gpu_extent(
    parts: Parts, whole: Launches, question: Question, narrowed: Narrowed
) -> tuple[int, int] | None:
    """Where the work of these steps begins and ends, ns; None where they have none.

    It begins where the device fell quiet before the first operation, so that its gap is in; of
    several devices the first that fell quiet counts.
    """
    devices = parts.source.devices
    lows, highs = [], []
    for (_, device), mine in narrowed.launched(whole).items():
        if question.device in (None, devices[device].ordinal):
            alive = np.flatnonzero(mine.count > 0)
            lows.append(int(mine.quiet[alive[np.argmin(mine.first[alive])]]))
            highs.append(int(mine.gpu_end[alive].max()))
    return (min(lows), max(highs)) if lows else None


def _host_extent(series: Sequence[StepSeries]) -> tuple[int, int]:
    """Where steps that have no work on the GPUs looked at begin and end, ns: on the host."""
    start = min(int(one.start.min()) for one in series)
    return start, max(start + 1, *(int(one.end.max()) for one in series))


def _by_window(parts: Parts, whole: Launches, question: Question, narrowed: Narrowed) -> Narrowed:
    """The steps with an operation in the window; those without any, by their time on the host."""
    inside = find_launches(parts, question.start, question.end)
    lo = -NEVER if question.start is None else question.start
    hi = NEVER if question.end is None else question.end
    wanted = []
    for one, k, mask in zip(narrowed.steps.series, narrowed.place, narrowed.wanted, strict=True):
        by_host = ~whole.alive(k, len(mask))[mask] & (one.end > lo) & (one.start < hi)
        wanted.append(by_host | inside.alive(k, len(mask))[mask])
    return narrowed.only(wanted)


def _no_such_steps(
    path: Path, series: tuple[StepSeries, ...], wanted: tuple[int | None, int | None]
) -> NoSuchStep:
    """Steps were asked for by numbers that none has."""
    first, stop = ("" if number is None else str(number) for number in wanted)
    have = [f"{one.number.min()}..{one.number.max()}" for one in series]
    return NoSuchStep(
        f"{path} has no step in {first}:{stop}"
        + (f" (it has {', '.join(have)})" if have else " (it has no steps at all)")
    )
