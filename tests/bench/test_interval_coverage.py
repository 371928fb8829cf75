"""What docs/bench.md says of intervals and gates, with fewer draws than benchmarks/ takes for it.

Tolerances are those of the number of draws: each line here fails once in ten thousand seeds where
the true rate is what it should be.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import interval_coverage as simulated

from .simulate import at_least, at_most

ROOT = Path(__file__).parents[2]
SEED = 3


@pytest.mark.parametrize("steps", [18, 60])
@pytest.mark.parametrize("name", list(simulated.PROCESSES))
def test_the_ratio_of_two_runs_means_is_in_its_interval(name: str, steps: int) -> None:
    found = simulated.of_steps(simulated.PROCESSES[name], steps, "mean", 150, SEED)
    assert found.share >= at_least(0.93, max(found.given, 1))
    # Steps of one level get an interval; where the clocks moved, none is printed.
    shifted = name.startswith("level shift")
    assert found.given <= 0.4 * 150 if shifted else found.given >= 0.5 * 150


@pytest.mark.parametrize("name", ["independent", "correlation 0.5", "one stall, or none"])
def test_the_ratio_of_two_runs_medians_is_in_its_interval(name: str) -> None:
    found = simulated.of_steps(simulated.PROCESSES[name], 60, "median", 150, SEED)
    assert found.share >= at_least(0.93, found.given)
    assert found.given >= 0.5 * 150


@pytest.mark.parametrize("counts", [(3, 3), (5, 5), (1, 5), (2, 6)])
def test_the_ratio_of_runs_is_in_its_interval(counts: tuple[int, int]) -> None:
    found = simulated.of_runs(simulated.SCATTER["normal"], counts, 300, SEED)
    assert at_least(0.95, 300) <= found.share < 1


@pytest.mark.parametrize("past", [3, 5, 10])
def test_the_ratio_of_single_runs_is_in_the_interval_of_a_history(past: int) -> None:
    found = simulated.of_history(simulated.SCATTER["normal"], past, 300, SEED)
    assert at_least(0.95, 300) <= found.share < 1


def test_sessions_and_calibrations_are_in_their_intervals() -> None:
    for name, found in simulated.of_rounds(200, SEED):
        assert found.share >= at_least(0.95, 200), name


@pytest.mark.parametrize("counts", [(1, 1), (2, 2)])
def test_too_few_runs_fail_no_gate_and_say_so(counts: tuple[int, int]) -> None:
    equal, _ = simulated.of_gates(counts, 1.0, 60, SEED)
    doubled, unjudged = simulated.of_gates(counts, 2.0, 60, SEED)
    assert (equal.good, doubled.good, unjudged.good) == (0, 0, 60)


@pytest.mark.parametrize("counts", [(3, 3), (5, 5), (1, 5)])
def test_a_gate_fails_equals_rarely_and_doubled_idle_time_mostly(counts: tuple[int, int]) -> None:
    equal, unjudged = simulated.of_gates(counts, 1.0, 150, SEED)
    assert equal.share <= at_most(0.05, 150)
    assert unjudged.good == 0
    doubled, _ = simulated.of_gates(counts, 2.0, 60, SEED)
    assert doubled.share >= 0.7


def test_a_history_lets_single_runs_be_judged() -> None:
    equal, unjudged = simulated.of_gates((1, 1), 1.0, 150, SEED, past=5)
    assert equal.share <= at_most(0.05, 150)
    assert unjudged.good == 0
    doubled, _ = simulated.of_gates((1, 1), 2.0, 60, SEED, past=5)
    assert doubled.share >= 0.6


def test_single_runs_are_never_called_better_or_worse() -> None:
    assert simulated.of_single(simulated.PROCESSES["independent"], 100, SEED).good == 0


def test_a_calibration_is_rarely_sure_where_nothing_was_added() -> None:
    assert simulated.of_calibration(300, SEED).share <= at_most(0.05, 300)


def test_the_script_prints_the_tables_that_the_page_shows() -> None:
    script = ROOT / "benchmarks" / "interval_coverage.py"
    done = subprocess.run(
        [sys.executable, script, "--draws", "1"],
        capture_output=True, text=True, timeout=200, check=True,
    )  # fmt: skip
    page = (ROOT / "docs" / "bench.md").read_text()
    firsts = {line.split("|")[1].strip() for line in done.stdout.splitlines() if line}
    assert len(firsts) > 25
    for first in firsts - {"---"}:
        assert f"| {first} |" in page
