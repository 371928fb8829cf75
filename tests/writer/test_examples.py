"""The worked examples in traces/ are what their script writes, and what their README works out."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
NAMES = ("example-sync", "example-pipelined")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("examples")
    script = ROOT / "scripts" / "make_examples.py"
    subprocess.run([sys.executable, str(script), str(folder)], check=True, capture_output=True)
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_committed_files_are_what_the_script_writes(name: str, made: Path) -> None:
    committed = ROOT / "traces" / name
    assert (made / f"{name}.json").read_text() == committed.with_suffix(".json").read_text()
    dumps = []
    for path in (made / f"{name}.sqlite", committed.with_suffix(".sqlite")):
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            dumps.append(list(database.iterdump()))
    assert dumps[0] == dumps[1]


def test_script_overwrites_nothing(made: Path) -> None:
    before = {path.name: path.read_bytes() for path in made.iterdir()}
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "make_examples.py"), str(made)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "already exists" in done.stderr
    assert {path.name: path.read_bytes() for path in made.iterdir()} == before


@pytest.mark.parametrize("name", NAMES)
def test_examples_are_small_and_call_themselves_synthetic(name: str) -> None:
    path = ROOT / "traces" / f"{name}.sqlite"
    assert path.stat().st_size < 200_000
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        metadata = dict(database.execute("SELECT name, value FROM META_DATA_EXPORT"))
    assert metadata["HARNESS_ORIGIN"] == "synthetic"
    manifest = json.loads(path.with_suffix(".json").read_text())
    assert manifest["origin"] == "synthetic"
    assert manifest["strategy"] == metadata["HARNESS_STRATEGY"] == name.removeprefix("example-")


@pytest.mark.parametrize(
    ("name", "window_us", "idle_us", "gaps_us"),
    [
        ("example-sync", 9649, 1309, {1: 240, 51: 18, 151: 1}),
        ("example-pipelined", 8599, 259, {1: 259}),
    ],
)
def test_rows_have_the_gaps_that_the_readme_works_out(
    name: str, window_us: int, idle_us: int, gaps_us: dict[int, int]
) -> None:
    path = ROOT / "traces" / f"{name}.sqlite"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        rows = database.execute(
            "SELECT start, end FROM CUPTI_ACTIVITY_KIND_KERNEL "
            "UNION ALL SELECT start, end FROM CUPTI_ACTIVITY_KIND_MEMCPY ORDER BY start"
        ).fetchall()
    gaps = [b[0] - a[1] for a, b in pairwise(rows)]  # one stream: no overlap
    assert min(gaps) > 0
    assert {gap // 1000: gaps.count(gap) for gap in sorted(set(gaps))} == gaps_us
    assert sum(gaps) == idle_us * 1000
    assert rows[-1][1] - rows[0][0] == window_us * 1000


@pytest.fixture(scope="module")
def printed() -> dict[str, dict[str, Any]]:
    """`harness gaps --format json` on both examples, by strategy."""
    paths = [str(ROOT / "traces" / f"{name}.sqlite") for name in NAMES]
    command = [sys.executable, "-m", "harness", "gaps", *paths, "--format", "json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return {trace["strategy"]: trace for trace in json.loads(done.stdout)["traces"]}


@pytest.mark.parametrize(
    ("strategy", "window_us", "idle_us"), [("sync", 9649, 1309), ("pipelined", 8599, 259)]
)
def test_gaps_prints_the_window_of_the_readme(
    printed: dict[str, dict[str, Any]], strategy: str, window_us: int, idle_us: int
) -> None:
    (device,) = printed[strategy]["devices"]
    assert printed[strategy]["origin"] == "synthetic"
    assert device["window_ns"] == window_us * 1000
    assert device["busy_ns"] == 8_340_000
    assert device["idle_ns"] == idle_us * 1000
    assert device["gap_count"] == 259


SLOW = 100 / 18
"""us a step: the 100 us that Step 43 loses, over 18 interior steps."""


@pytest.mark.parametrize(
    ("strategy", "limiter", "figures_us", "causes_us", "drained_us"),
    [
        (
            "sync",
            "sync",
            {"period_ns": 480 + SLOW, "busy_ns": 417, "idle_ns": 63 + SLOW, "intra_ns": 12},
            {"host": 38 + SLOW, "sync": 5, "launch": 6, "queue": 14},
            {"Check Stop Condition · cudaMemcpyAsync": 51 + SLOW},
        ),
        (
            "pipelined",
            "gpu",
            {"period_ns": 430, "busy_ns": 417, "idle_ns": 13, "intra_ns": 12},
            {"queue": 13},
            {},
        ),
    ],
)
def test_gaps_prints_the_steps_of_the_readme(
    printed: dict[str, dict[str, Any]],
    strategy: str,
    limiter: str,
    figures_us: dict[str, float],
    causes_us: dict[str, float],
    drained_us: dict[str, float],
) -> None:
    (series,) = printed[strategy]["series"]
    steady = series["steady"]
    assert steady["steps"] == 18
    assert steady["limiter"] == limiter
    assert {name: steady[name] / 1000 for name in figures_us} == pytest.approx(figures_us)
    causes = {name: ns / 1000 for name, ns in steady["causes"].items() if ns}
    assert causes == pytest.approx(causes_us)
    drained = {name: ns / 1000 for name, ns in steady["drained_by"].items()}
    assert drained == pytest.approx(drained_us)
    worst, median = series["idle_per_step"]["max_ns"], series["idle_per_step"]["p50_ns"]
    assert (worst, median) == ((163_000, 63_000) if strategy == "sync" else (13_000, 13_000))


def test_the_gain_of_the_readme_leaves_the_other_example_s_step(
    printed: dict[str, dict[str, Any]],
) -> None:
    (gains,) = printed["sync"]["gains"]
    (wait,) = [one for one in gains["rungs"] if one["change"] == "wait"]
    assert (gains["kind"], wait["kind"]) == ("device-value-read",) * 2
    assert wait["gain_ns"] / 1000 == pytest.approx(50 + SLOW)
    (other,) = printed["pipelined"]["series"]
    assert wait["step_ns"] == pytest.approx(other["steady"]["period_ns"])
    assert other["steady"]["kind"] == "gpu"
