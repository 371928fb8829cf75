"""Two sides compared, subject by subject and metric by metric; what must be known to believe it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ..statistics.interval import CONFIDENCE
from ..statistics.run_tests import MIN_RUNS, holm
from ..statistics.stationarity import TEST
from ..statistics.step_level import MIN_STEPS, MIN_STEPS_OF_MEDIAN
from .evidence import HISTORY, STEPS
from .remarks import HistoryUnused, LevelShift, ManyTests, OneRun, TooFewValues
from .samples import Sample, Side, Subject, paired
from .verdict import Ratio, compare_samples, judged


class Comparison(Struct, frozen=True):
    """Everything that `harness compare` shows. `differences`: (key, before, after)."""

    before: str
    after: str
    confidence: float
    differences: tuple[tuple[str, Any, Any], ...]
    ratios: tuple[Ratio, ...]
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]
    notes: tuple[str, ...] = ()


def metrics_of_both(before: Side, after: Side) -> tuple[str, ...]:
    """What can be compared of the subjects that stand on both sides, in order."""
    here, there = _paired(before, after)
    both = (
        metric
        for key, subject in here.items()
        if key in there
        for metric in subject.samples
        if metric in there[key].samples
    )
    return tuple(dict.fromkeys(both))


def _paired(before: Side, after: Side) -> tuple[dict[str, Subject], dict[str, Subject]]:
    """The subjects of both sides by keys that pair them."""
    return paired(
        {subject.key: subject for subject in before.subjects},
        {subject.key: subject for subject in after.subjects},
    )


def compare(
    before: Side,
    after: Side,
    confidence: float = CONFIDENCE,
    metrics: Sequence[str] = (),
    history: Side | None = None,
) -> Comparison:
    """Pair subjects by key and compare every metric that both have, or these, as gates.

    `history`: runs of what stands on the two sides, or of the one thing on either, from before;
    they show how much runs differ where there are too few. The gates share the chance of a false
    alarm (Holm); what is no gate is tested by itself.
    """
    here, there = _paired(before, after)
    ratios = [
        compare_samples(
            key,
            sample,
            there[key].samples[metric],
            confidence,
            _past(history, (subject, there[key]), metric),
        )
        for key, subject in here.items()
        if key in there
        for metric, sample in subject.samples.items()
        if metric in there[key].samples and (not metrics or metric in metrics)
    ]
    if metrics:
        ratios = [replace(ratio, gate=True) for ratio in ratios]
    ratios = family(ratios, confidence)
    return Comparison(
        before=before.name,
        after=after.name,
        confidence=confidence,
        differences=tuple(differences(before.metadata, after.metadata)),
        ratios=tuple(ratios),
        only_before=tuple(key for key in here if key not in there),
        only_after=tuple(key for key in there if key not in here),
        notes=(*_notes(ratios, confidence), *_unused(history, ratios), *before.notes, *after.notes),
    )


def _past(history: Side | None, pair: tuple[Subject, Subject], metric: str) -> Sample | None:
    """The runs of a history that are of one of a pair: of the same key, or the same place."""
    if history is None:
        return None
    keys, places = {one.key for one in pair}, {one.place for one in pair}
    named = [one for one in history.subjects if one.key in keys]
    alone = [one for one in history.subjects if one.place in places]
    if not named and len(alone) != 1:
        return None
    return (named or alone)[0].samples.get(metric)


def _unused(history: Side | None, ratios: Sequence[Ratio]) -> Iterator[str]:
    if history is not None and not any(ratio.method == HISTORY for ratio in ratios):
        yield HistoryUnused(
            f"the history {history.name} was not needed, or has fewer than {MIN_RUNS} runs of what "
            "is compared"
        )


def family(ratios: Sequence[Ratio], confidence: float) -> list[Ratio]:
    """The gates judged together: the chance that any of them is a false alarm is 1 - confidence."""
    tested = [k for k, r in enumerate(ratios) if r.gate and r.p is not None]
    found = list(ratios)
    for k, p in zip(tested, holm([ratios[k].p or 0.0 for k in tested]), strict=True):
        found[k] = judged(ratios[k], p, confidence)
    return found


def differences(
    before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = ""
) -> list[tuple[str, Any, Any]]:
    """What differs between two nested mappings, as (dotted key, before, after); None is absent.

    >>> differences({"gpu": {"name": "A", "clock": 1}}, {"gpu": {"name": "B", "clock": 1}})
    [('gpu.name', 'A', 'B')]
    """
    found: list[tuple[str, Any, Any]] = []
    for key in dict.fromkeys([*before, *after]):
        a, b = before.get(key), after.get(key)
        if a == b:
            continue
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            found += differences(a, b, f"{prefix}{key}.")
        else:
            found.append((f"{prefix}{key}", a, b))
    return found


def _notes(ratios: Sequence[Ratio], confidence: float) -> list[str]:
    """What a reader must know to believe the table, with numbers."""
    return [
        *_single(ratios),
        *_few(ratios),
        *_shifted(ratios),
        *_many(ratios, confidence),
    ]


def _single(ratios: Sequence[Ratio]) -> Iterator[str]:
    if any(r.method == STEPS or any(r.shifts) for r in ratios):
        yield OneRun(
            "one run on each side: this speaks of these two single runs, not of what another run "
            f"would give; record {MIN_RUNS} runs or more of each"
        )


def _few(ratios: Sequence[Ratio]) -> Iterator[str]:
    few = [r for r in ratios if r.p is None and not any(r.shifts)]
    if few:
        fewest = min(min(r.runs) for r in few)
        steps = all(r.method == "steps" for r in few)
        need = (
            f"{MIN_STEPS} steps on each side, {MIN_STEPS_OF_MEDIAN} for a median,"
            if steps
            else f"{MIN_RUNS} runs on one side"
        )
        yield TooFewValues(
            f"{len(few)} of {len(ratios)} figures have too few values to be tested "
            f"({fewest} run{'s' if fewest > 1 else ''}); {need} are the least"
        )


def _shifted(ratios: Sequence[Ratio]) -> Iterator[str]:
    told = set()
    for ratio in ratios:
        for when, shift in zip(("before", "after"), ratio.shifts, strict=True):
            if shift is not None and (ratio.subject, when) not in told:
                told.add((ratio.subject, when))
                yield LevelShift(
                    f"{ratio.subject}: {ratio.metric} ({when}) changes its level by "
                    f"{shift.share:+.1%} after {shift.steps} steps, so no interval is given "
                    f"({TEST}, p < 0.01); lock the clocks (nvidia-smi -lgc), or compare --steps of "
                    "one level"
                )


def _many(ratios: Sequence[Ratio], confidence: float) -> Iterator[str]:
    alone = [r for r in ratios if r.p is not None and not r.gate]
    expected = len(alone) * (1 - confidence)
    if expected >= 1:
        yield ManyTests(
            f"{len(alone)} figures that are no gates are tested at {confidence:.0%} each: about "
            f"{expected:.0f} would be marked by chance alone"
        )
