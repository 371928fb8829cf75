"""Growing a trace for the benchmark repeats it: same gaps, same steps, own correlation ids."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from harness.analysis.analyze import analyze
from harness.analysis.idle.assign import find_steps
from harness.analysis.readers.open import open_trace

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "traces" / "example-sync.sqlite"


@pytest.fixture(scope="module")
def grow() -> ModuleType:
    spec = importlib.util.spec_from_file_location("grow", ROOT / "benchmarks" / "grow.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_three_copies_have_three_times_the_gaps_and_steps(grow: ModuleType, tmp_path: Path) -> None:
    target = tmp_path / "grown.sqlite"
    counts = grow.grow(SOURCE, target, 241)  # 240 kernels a copy, rounded up
    assert counts["CUPTI_ACTIVITY_KIND_KERNEL"] == 480
    counts = grow.grow(SOURCE, target, 720, force=True)
    assert counts["CUPTI_ACTIVITY_KIND_KERNEL"] == 720
    one, three = open_trace(SOURCE), open_trace(target)
    (before,), (after,) = analyze(one).gaps, analyze(three).gaps
    assert after.busy_ns == 3 * before.busy_ns
    assert len(after) == 3 * len(before) + 2  # one more where two copies meet
    assert sorted(after.length)[:-2] == sorted([*before.length] * 3)
    assert [len(s) for s in find_steps(three).series] == [60]
    assert three.duplicate_calls == one.duplicate_calls == 0
    launch = three.operations.launch
    assert (launch >= 0).all()
    assert len(np.unique(launch)) == len(launch)
    assert (three.calls.start[launch] < three.operations.start).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.sqlite", "out.sqlite"], "missing.sqlite is no file"),
        ([str(SOURCE), "taken.sqlite"], "taken.sqlite already exists"),
        (["host.sqlite", "out.sqlite"], "no kernels"),
        (["text.sqlite", "out.sqlite"], "not a database"),
    ],
)
def test_what_cannot_be_grown_is_one_line_and_leaves_nothing(
    arguments: list[str], message: str, tmp_path: Path
) -> None:
    from harness.analysis.writer.writer import TraceBuilder

    TraceBuilder(producer="builder", origin="synthetic").write(tmp_path / "host.sqlite")
    (tmp_path / "text.sqlite").write_text("not SQLite at all, but long enough to be read" * 50)
    (tmp_path / "taken.sqlite").write_text("precious")
    before = sorted(path.name for path in tmp_path.iterdir())
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "grow.py"), *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert (tmp_path / "taken.sqlite").read_text() == "precious"
