"""Two ranks of a data-parallel loop on two H200s (NCCL, 20 steps), recorded twice by our recorder.

In one recording rank 1 sleeps 3 ms a step in the range `load`, in the other nobody does.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from harness.analysis.figures.units import human

HERE = Path(__file__).parent / "data"
SLEEP_NS = 3e6


@pytest.fixture
def asked(inside, tmp_path: Path):
    def asked(name: str) -> dict[str, Any]:
        for packed in sorted(HERE.glob(f"{name}-rank*.sqlite.gz")):
            (tmp_path / packed.stem).write_bytes(gzip.decompress(packed.read_bytes()))
        names = [f"{name}-rank{rank}.sqlite" for rank in range(2)]
        done = inside("gaps", *names, "--by", "rank", "--json")
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    return asked


def test_a_rank_that_sleeps_is_late(asked) -> None:
    (job,) = asked("ddp-late")["stragglers"]
    assert (job["straggler"], job["extra_cause"]) == (1, "host")
    # It sleeps, and the others wait for it for longer: most of that they would have worked anyway.
    assert job["made_wait_ns"] > 2 * SLEEP_NS
    assert job["on_time"]["gain_ns"] == pytest.approx(SLEEP_NS, rel=0.3)
    assert job["on_time"]["error_ns"] < 0.01 * job["on_time"]["gain_ns"]


def test_a_rank_that_is_late_by_chance_wins_little(asked) -> None:
    (job,) = asked("ddp-clean")["stragglers"]
    gain = job["on_time"]["gain_ns"] if job["on_time"] else 0.0
    assert gain < SLEEP_NS / 5


def test_the_step_that_is_left_is_that_of_the_loop_without_the_sleep(asked) -> None:
    """Hosts differ in speed from recording to recording, here by a sixth: the step is bound by its
    launches, and is longer by as much."""
    late, clean = asked("ddp-late"), asked("ddp-clean")
    (job,) = late["stragglers"]
    left = job["on_time"]["replayed_ns"] - job["on_time"]["gain_ns"]
    speed = host_ns(clean) / host_ns(late)
    assert 1.1 < speed < 1.3
    assert left * speed == pytest.approx(clean["by_rank"][0]["period_ns"], rel=0.05)


def host_ns(found: dict[str, Any]) -> float:
    """Time of rank 0's host in a step, of Python and of calls that do not wait."""
    (series,) = found["traces"][0]["series"]
    host: float = series["steady"]["host_ns"]
    return host


def test_it_is_said_of_the_step_that_the_table_shows(asked, inside) -> None:
    period = asked("ddp-clean")["by_rank"][1]["period_ns"]
    done = inside("gaps", "ddp-clean-rank0.sqlite", "ddp-clean-rank1.sqlite")
    said = " ".join(done.stdout.split())
    assert f" a step takes 491 µs less of {human(period)} (5.5%), " in said
