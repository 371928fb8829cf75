"""Two sides compared: pairing, metadata, gates, and what is said when too little is known."""

from __future__ import annotations

import numpy as np
import pytest

from harness.analysis.compare.verdict import (
    Comparison,
    Sample,
    Side,
    Subject,
    compare,
    compare_samples,
    differences,
)


def sample(*runs: object, metric: str = "runtime", **fields: object) -> Sample:
    arrays = tuple(np.atleast_1d(np.array(run, float)) for run in runs)
    return Sample(metric, "ns", arrays, **fields)


def side(name: str, **subjects: Sample) -> Side:
    return Side(name, {}, tuple(Subject(key, {s.metric: s}) for key, s in subjects.items()))


FAST = (100, 101, 102, 103)
SLOW = (120, 121, 122, 123)


@pytest.mark.parametrize(
    ("before", "after", "better", "verdict"),
    [
        (FAST, SLOW, "lower", "worse"),
        (SLOW, FAST, "lower", "better"),
        (FAST, SLOW, "higher", "better"),
        (SLOW, FAST, "higher", "worse"),
        (FAST, SLOW, None, "differs"),
        (FAST, FAST, "lower", "not significant"),
        (FAST, (100, 99, 104, 102), "lower", "not significant"),
        (FAST[:3], SLOW[:3], "lower", "too few"),
    ],
)
def test_verdicts(before: tuple, after: tuple, better: str | None, verdict: str) -> None:
    found = compare_samples(
        "x", sample(*before, better=better), sample(*after, better=better), 0.95
    )
    assert found.verdict == verdict
    assert (found.p is None) == (verdict == "too few")


def test_ratio_and_interval_are_those_of_the_medians() -> None:
    found = compare_samples("x", sample(*FAST), sample(*SLOW), 0.95)
    assert found.ratio == pytest.approx(121.5 / 101.5)
    assert found.low < found.ratio < found.high
    assert found.p == pytest.approx(2 / 70)
    assert found.runs == (4, 4)


def test_one_subject_on_each_side_is_a_pair() -> None:
    found = compare(side("a", old=sample(*FAST)), side("b", new=sample(*SLOW)))
    assert [ratio.subject for ratio in found.ratios] == ["old -> new"]
    assert found.only_before == found.only_after == ()


def test_several_subjects_pair_by_name() -> None:
    found = compare(
        side("a", x=sample(*FAST), y=sample(*FAST)), side("b", y=sample(*SLOW), z=sample(*SLOW))
    )
    assert [ratio.subject for ratio in found.ratios] == ["y"]
    assert (found.only_before, found.only_after) == (("x",), ("z",))


def test_metadata_differences_are_nested_and_complete() -> None:
    before = {"gpu": {"name": "A", "clock": 1}, "torch": "2.13", "gone": 1}
    after = {"gpu": {"name": "B", "clock": 1}, "torch": "2.13", "new": [1]}
    assert differences(before, after) == [
        ("gpu.name", "A", "B"),
        ("gone", 1, None),
        ("new", None, [1]),
    ]


def regressions(found: Comparison, above: float) -> list[str]:
    return [ratio.metric for ratio in found.regressions(above)]


def test_a_regression_is_significant_gated_and_large_enough() -> None:
    found = compare(side("a", x=sample(*FAST)), side("b", x=sample(*SLOW)))
    assert found.ratios[0].loss == pytest.approx(121.5 / 101.5 - 1)
    assert regressions(found, 0.05) == ["runtime"]
    assert regressions(found, 0.25) == []
    ungated = side("a", x=sample(*FAST, gate=False)), side("b", x=sample(*SLOW, gate=False))
    assert regressions(compare(*ungated), 0.05) == []
    better = compare(side("a", x=sample(*SLOW)), side("b", x=sample(*FAST)))
    assert regressions(better, 0.0) == []


def test_less_throughput_is_a_loss_too() -> None:
    found = compare(
        side("a", x=sample(*SLOW, better="higher")), side("b", x=sample(*FAST, better="higher"))
    )
    assert found.ratios[0].loss == pytest.approx(1 - 101.5 / 121.5)


def test_one_run_a_side_compares_its_steps_and_says_so() -> None:
    rng = np.random.default_rng(0)
    before, after = rng.normal(100, 3, 40), rng.normal(110, 3, 40)
    found = compare(side("a", x=sample(before)), side("b", x=sample(after)))
    assert found.ratios[0].method == "blocks of steps"
    assert found.ratios[0].verdict == "worse"
    assert found.notes[0].startswith("one run on a side")


def test_one_value_a_side_is_never_a_verdict() -> None:
    found = compare(side("a", x=sample(100)), side("b", x=sample(200)))
    assert found.ratios[0].verdict == "too few"
    assert found.ratios[0].ratio == 2
    assert "too few values" in found.notes[0]
    assert regressions(found, 0.05) == []


def test_idle_time_that_goes_away_is_better_without_a_ratio() -> None:
    before, after = np.random.default_rng(0).normal(100, 3, 40), np.zeros(40)
    found = compare_samples("x", sample(before), sample(after), 0.95)
    assert (found.ratio, found.verdict) == (None, "better")
    back = compare_samples("x", sample(after), sample(before), 0.95)
    assert (back.verdict, back.loss) == ("worse", float("inf"))
    nothing = compare_samples("x", sample(after), sample(after), 0.95)
    assert nothing.verdict == "not significant"


def test_exact_repetition_counts_as_exact() -> None:
    """Simulated traces repeat to the nanosecond: any difference is one."""
    found = compare_samples("x", sample(np.full(20, 100)), sample(np.full(20, 101)), 0.95)
    assert (found.verdict, found.ratio, found.p) == ("worse", pytest.approx(1.01), 0.0)


def test_many_tests_are_counted() -> None:
    many = {f"s{k}": sample(*FAST) for k in range(40)}
    found = compare(side("a", **many), side("b", **many))
    assert any("40 figures tested" in note and "about 2 " in note for note in found.notes)
