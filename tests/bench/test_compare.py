"""Two sides compared: pairing, metadata, gates, and what is said when too little is known."""

from __future__ import annotations

import numpy as np
import pytest

from harness.analysis.compare.comparison import Comparison, compare, differences
from harness.analysis.compare.gate import gate
from harness.analysis.compare.remarks import LevelShift
from harness.analysis.compare.samples import Sample, Side, Subject
from harness.analysis.compare.verdict import compare_samples
from harness.analysis.statistics.run_tests import ALIKE, holm, neighbours_alike


def sample(*runs: object, metric: str = "runtime", **fields: object) -> Sample:
    arrays = tuple(np.atleast_1d(np.array(run, float)) for run in runs)
    return Sample(metric, "ns", arrays, **fields)


def side(name: str, **subjects: Sample) -> Side:
    return Side(name, {}, tuple(Subject(key, {s.metric: s}) for key, s in subjects.items()))


US = 1000.0
FAST = (100 * US, 101 * US, 102 * US, 103 * US)
SLOW = (120 * US, 121 * US, 122 * US, 123 * US)


@pytest.mark.parametrize(
    ("before", "after", "better", "verdict"),
    [
        (FAST, SLOW, "lower", "worse"),
        (SLOW, FAST, "lower", "better"),
        (FAST, SLOW, "higher", "better"),
        (SLOW, FAST, "higher", "worse"),
        (FAST, SLOW, None, "differs"),
        (FAST, FAST, "lower", "not significant"),
        (FAST, (100 * US, 99 * US, 104 * US, 102 * US), "lower", "not significant"),
        (FAST[:3], SLOW[:3], "lower", "worse"),
        (FAST[:2], SLOW[:2], "lower", "too few"),
        (FAST[:1], SLOW[:2], "lower", "too few"),
        (FAST[:1], SLOW, "lower", "worse"),
        (FAST, SLOW[:2], "lower", "worse"),
        (FAST, (100 * US,), "lower", "not significant"),
    ],
)
def test_verdicts(before: tuple, after: tuple, better: str | None, verdict: str) -> None:
    found = compare_samples(
        "x", sample(*before, better=better), sample(*after, better=better), 0.95
    )
    assert found.verdict == verdict
    assert (found.p is None) == (verdict == "too few")
    assert found.spread_known == (verdict != "too few")


def test_ratio_and_interval_are_those_of_students_test() -> None:
    a, b = np.log(FAST), np.log(SLOW)
    found = compare_samples("x", sample(*FAST), sample(*SLOW), 0.95)
    assert found.before == pytest.approx(np.exp(a.mean()))
    assert found.ratio == pytest.approx(found.after / found.before)
    # Welch by hand: nearly equal spreads, so nearly 6 degrees of freedom; t = 2.447.
    error = np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 4)
    assert np.log(found.high / found.ratio) == pytest.approx(2.45 * error, rel=0.01)
    assert found.low * found.high == pytest.approx(found.ratio**2)
    assert found.runs == (4, 4)


def test_a_single_run_has_the_doubt_of_the_many() -> None:
    """Student with one spread for both: sqrt(1 + 1 / 4) of it, 3 degrees of freedom, t = 3.182."""
    many = np.log(SLOW)
    one, other = (
        compare_samples("x", a, b, 0.95)
        for a, b in ((sample(FAST[0]), sample(*SLOW)), (sample(*SLOW), sample(FAST[0])))
    )
    half = 3.182 * many.std(ddof=1) * np.sqrt(1.25)
    assert np.log(one.high / one.ratio) == pytest.approx(half, rel=1e-3)
    assert (one.low, one.high) == pytest.approx((1 / other.high, 1 / other.low))


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        (118.5, 118.6, "negligible"),  # 0.1%
        (118.5, 120.4, "negligible"),  # 1.6%, but below 2 us
        (118.5, 120.6, "worse"),
        (1000.0, 1009.0, "negligible"),  # 9 us, but below 1%
        (1000.0, 1011.0, "worse"),
    ],
)
def test_the_least_that_counts_is_the_larger_of_1_percent_and_2_us(
    before: float, after: float, verdict: str
) -> None:
    one, other = (
        sample(np.full(20, us * US), metric="step", repeats=True) for us in (before, after)
    )
    assert compare_samples("x", one, other, 0.95).verdict == verdict


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
    return [ratio.metric for ratio in gate(found, above).regressions]


def test_a_regression_is_significant_gated_and_large_enough() -> None:
    found = compare(side("a", x=sample(*FAST)), side("b", x=sample(*SLOW)))
    assert found.ratios[0].loss == pytest.approx(found.ratios[0].after / found.ratios[0].before - 1)
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
    assert found.ratios[0].loss == pytest.approx(1 - found.ratios[0].after / found.ratios[0].before)
    assert regressions(found, 0.05) == ["runtime"]


NOISE = 3 * np.random.default_rng(0).standard_normal((2, 40))


def single(before_us: float, after_us: float) -> Comparison:
    """One run of 40 steps on each side, which scatter by 3%."""
    return compare(
        side("a", x=sample(US * before_us * (1 + NOISE[0] / 100))),
        side("b", x=sample(US * after_us * (1 + NOISE[1] / 100))),
    )


def test_one_run_a_side_speaks_of_these_two_runs() -> None:
    found = single(100, 110)
    (ratio,) = found.ratios
    assert (ratio.method, ratio.verdict, ratio.spread_known) == (
        "blocks of steps", "these runs differ", False,
    )  # fmt: skip
    assert found.notes[0].startswith("one run on each side: this speaks of these two single runs")


@pytest.mark.parametrize(
    ("before_us", "after_us", "limit", "unjudged"),
    [
        (100, 110, 0.05, True),  # observed beyond the limit
        (100, 200, 0.05, True),  # however far: another pair may not be
        (100, 110, 0.099, True),  # its interval reaches it
        (100, 110, 0.3, False),
        (110, 100, 0.0, False),  # no worsening was seen
        (100, 100, 0.0, False),
    ],
)
def test_a_gate_of_single_runs_says_that_it_cannot_judge(
    before_us: float, after_us: float, limit: float, unjudged: bool
) -> None:
    noisy = single(before_us, after_us)
    if before_us == after_us:
        noisy = compare(side("a", x=sample(US * (100 + NOISE[0]))),
                        side("b", x=sample(US * (100 + NOISE[0]))))  # fmt: skip
    found = gate(noisy, limit)
    assert (found.regressions, bool(found.unjudged), found.few) == ((), unjudged, (1, 1))


@pytest.mark.parametrize(("after", "unjudged"), [(30.0, True), (1.0, True), (0.5, False)])
def test_a_share_that_was_nothing_counts_by_its_points(after: float, unjudged: bool) -> None:
    """Idle for 30 % of the time after 0 % is worse, though there is no ratio."""
    before, now = (
        Sample("idle share", "%", (np.array([share]),), better="lower", gate=True)
        for share in (0.0, after)
    )
    pair = side("a", x=before), side("b", x=now)
    assert bool(gate(compare(*pair, 0.95), 0.05).unjudged) == unjudged


def test_an_effect_too_small_to_count_fails_no_gate() -> None:
    """Idle time of 3 us that becomes 4 us is a third more, and nothing."""
    found = compare(side("a", x=sample(3 * US * (1 + NOISE[0] / 100))),
                    side("b", x=sample(4 * US * (1 + NOISE[0] / 100))))  # fmt: skip
    assert found.ratios[0].verdict == "negligible"
    assert gate(found, 0.05).unjudged == ()


def test_two_runs_a_side_cannot_be_judged_and_three_can() -> None:
    two = compare(side("a", x=sample(*FAST[:2])), side("b", x=sample(*SLOW[:2])))
    assert "too few values" in two.notes[0]
    assert gate(two, 0.05).unjudged == two.ratios
    three = compare(side("a", x=sample(*FAST[:3])), side("b", x=sample(*SLOW[:3])))
    assert gate(three, 0.05).regressions == three.ratios


def test_one_value_a_side_is_never_a_verdict() -> None:
    found = compare(side("a", x=sample(100 * US)), side("b", x=sample(200 * US)))
    assert found.ratios[0].verdict == "too few"
    assert found.ratios[0].ratio == 2
    assert regressions(found, 0.05) == []
    assert gate(found, 0.05).unjudged == found.ratios


def test_idle_time_that_goes_away_is_a_difference_without_a_ratio() -> None:
    before, after = US * (100 + NOISE[0]), np.zeros(40)
    found = compare_samples("x", sample(before), sample(after), 0.95)
    assert (found.ratio, found.verdict, found.loss) == (None, "these runs differ", 0.0)
    back = compare(side("a", x=sample(after)), side("b", x=sample(before)))
    assert back.ratios[0].loss == float("inf")
    assert gate(back, 0.05).unjudged == back.ratios
    nothing = compare_samples("x", sample(after), sample(after), 0.95)
    assert nothing.verdict == "not significant"
    runs = [compare_samples("x", sample(0, 0, 0), sample(*FAST), 0.95),
            compare_samples("x", sample(*FAST), sample(0, 0, 0), 0.95)]  # fmt: skip
    assert [one.verdict for one in runs] == ["worse", "better"]


def test_simulated_runs_repeat_so_that_one_of_each_is_enough() -> None:
    one, other = (
        side(name, x=sample(np.full(20, us * US), repeats=True))
        for name, us in (("a", 100), ("b", 110))
    )
    assert regressions(compare(one, other), 0.05) == ["runtime"]
    assert gate(compare(one, other), 0.05).few is None
    assert compare(one, one).ratios[0].verdict == "not significant"
    measured = side("b", x=sample(np.full(20, 110 * US)))
    assert compare(one, measured).ratios[0].verdict == "these runs differ"


def test_a_history_shows_how_much_single_runs_differ() -> None:
    """5 runs of the same from before: their spread for both, 4 degrees of freedom, t = 2.776."""
    past = (98 * US, 101 * US, 99 * US, 102 * US, 100 * US)
    history = side("old", x=sample(*past))
    known = compare(side("a", x=sample(100 * US)), side("b", x=sample(120 * US)), history=history)
    (ratio,) = known.ratios
    assert (ratio.verdict, ratio.method, ratio.spread_known) == ("worse", "t test by history", True)
    half = 2.776 * np.log(past).std(ddof=1) * np.sqrt(2)
    assert np.log(ratio.high / ratio.ratio) == pytest.approx(half, rel=1e-3)
    assert gate(known, 0.05).regressions == known.ratios
    near = compare(side("a", x=sample(100 * US)), side("b", x=sample(103 * US)), history=history)
    assert near.ratios[0].verdict == "not significant"
    few = compare(
        side("a", x=sample(100 * US)), side("b", x=sample(120 * US)),
        history=side("old", x=sample(*past[:2])),
    )  # fmt: skip
    assert few.ratios[0].verdict == "too few"
    assert "fewer than 3 runs" in few.notes[-1]
    other = side("old", y=sample(*past), z=sample(*past))
    foreign = compare(side("a", x=sample(100 * US)), side("b", x=sample(120 * US)), history=other)
    assert foreign.ratios[0].verdict == "too few"


def test_runs_of_one_round_are_pairs() -> None:
    """The machine gets slower from round to round, and both with it."""
    drift = US * np.array([100.0, 130, 170, 220, 290])
    about = {"session": "s", "rounds": (1, 2, 3, 4, 5)}
    before = sample(*drift, **about)
    after = sample(*(drift * [1.051, 1.049, 1.05, 1.05, 1.05]), **about)
    found = compare_samples("x", before, after, 0.95)
    assert (found.verdict, found.method) == ("worse", "t test of pairs")
    assert 1.04 < found.low < 1.05 < found.high < 1.06
    other = sample(*after.values, rounds=about["rounds"], session="t")
    assert compare_samples("x", before, other, 0.95).verdict == "not significant"


def test_rounds_that_are_alike_are_worth_less() -> None:
    """Neighbours that correlate by a half: three times the variance, a third of the freedom."""
    alone = compare_samples("x", sample(*FAST), sample(*SLOW), 0.95)
    alike = compare_samples("x", sample(*FAST, alike=0.5), sample(*SLOW), 0.95)
    wider = np.log(alike.high / alike.low) / np.log(alone.high / alone.low)
    assert wider == pytest.approx(np.sqrt(3) * 4.303 / 2.447, rel=0.03)
    rising, noise = np.arange(10.0), np.array([1.0, -1, 1, -1, 1, -1, 1, -1])
    assert neighbours_alike([rising]) > 0.9 - 1e-9
    assert neighbours_alike([noise]) == 0.0
    assert neighbours_alike([rising[:3], np.ones(9)]) == ALIKE


def test_gates_share_one_chance_of_a_false_alarm() -> None:
    """Of two gates with one p each is worth twice as much as by itself."""
    near = (101.0 * US, 105 * US, 109 * US, 113 * US)
    pair = {"x": sample(*FAST), "y": sample(*FAST, metric="idle")}
    later = {"x": sample(*near), "y": sample(*near, metric="idle")}
    alone = compare(side("a", x=pair["x"]), side("b", x=later["x"])).ratios[0]
    both = compare(side("a", **pair), side("b", **later)).ratios
    assert alone.p_adjusted == alone.p
    assert [one.p_adjusted for one in both] == pytest.approx([2 * alone.p, 2 * alone.p])
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []


def test_only_some_metrics_are_a_family_of_their_own() -> None:
    def both(name: str, *runs: float) -> Side:
        samples = {m: sample(*runs, metric=m, gate=m == "step") for m in ("step", "idle")}
        return Side(name, {}, (Subject("x", samples),))

    found = compare(both("a", *FAST), both("b", *SLOW), metrics=["idle"])
    assert [(one.metric, one.gate) for one in found.ratios] == [("idle", True)]
    assert found.ratios[0].p_adjusted == found.ratios[0].p


def test_a_stalled_step_hides_no_doubling() -> None:
    """Its mean says less than nothing, the median of the steps says it all."""

    def of(metric: str, statistic: str, scale: float, stall: float) -> Sample:
        runs = [US * scale * (100 + NOISE[0] + k) for k in range(3)]
        runs[0][7] += stall * US
        return sample(*runs, metric=metric, statistic=statistic)

    def runs_of(name: str, scale: float, stall: float) -> Side:
        samples = (of("step", "mean", scale, stall), of("median step", "median", scale, stall))
        return Side(name, {}, (Subject("x", {one.metric: one for one in samples}),))

    found = compare(runs_of("a", 1, 40_000), runs_of("b", 2, 0))
    assert [one.verdict for one in found.ratios] == ["not significant", "worse"]
    assert regressions(found, 0.05) == ["median step"]


def test_figures_that_are_no_gates_are_counted() -> None:
    many = {f"s{k}": sample(*FAST, gate=False) for k in range(40)}
    found = compare(side("a", **many), side("b", **many))
    assert any("40 figures" in note and "about 2 " in note for note in found.notes)


def test_a_run_that_changes_its_level_has_no_interval() -> None:
    steps = US * (100 + NOISE[0])
    steps[25:] *= 1.2
    found = compare(side("a", x=sample(US * (100 + NOISE[1]))), side("b", x=sample(steps)))
    (ratio,) = found.ratios
    assert (ratio.low, ratio.p, ratio.verdict) == (None, None, "too few")
    (told,) = [note for note in found.notes if isinstance(note, LevelShift)]
    assert "(after) changes its level by +2" in told
    assert "after 25 steps" in told
    assert gate(found, 0.05).unjudged == found.ratios


def test_several_of_one_name_pair_by_their_place() -> None:
    def gpus(name: str, *places: str) -> Side:
        return Side(
            name, {},
            tuple(Subject(f"{name} {p}".strip(), {"runtime": sample(*FAST)}, name, p)
                  for p in places),
        )  # fmt: skip

    found = compare(gpus("old", "(GPU 0)", "(GPU 1)"), gpus("new", "(GPU 1)", "(GPU 0)"))
    assert [one.subject for one in found.ratios] == ["old -> new (GPU 0)", "old -> new (GPU 1)"]
    assert (found.only_before, found.only_after) == ((), ())
    some = compare(gpus("old", "(GPU 0)", "(GPU 1)"), gpus("new", "(GPU 1)"))
    assert [one.subject for one in some.ratios] == ["old -> new (GPU 1)"]
    assert some.only_before == ("old -> new (GPU 0)",)
    cells = [Subject(key, {"runtime": sample(*FAST)}) for key in ("kv-cache", "pipelined")]
    apart = compare(Side("r.db", {}, tuple(cells)), gpus("new", ""))
    assert (apart.ratios, len(apart.only_before)) == ((), 2)
