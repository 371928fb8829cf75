"""A Python program under nsys: what it does besides its own ranges, by NVTX's own calls."""

from __future__ import annotations

import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from harness.analysis.model.evidence import CPU_MARKS, is_evidence
from harness.capture.base import CaptureConfig, CaptureRange
from harness.capture.nsys.arrange import arrange
from harness.capture.nsys.cpu_times import add_cpu_times
from harness.capture.nsys.features import require_nsys

LOOP = """
import gc, os, sys, time
import nvtx
from torch.utils.data import DataLoader
gc.disable()
class Slow(list):
    def __getitem__(self, index):
        time.sleep(0.01)
        return index
def busy(seconds):
    until = time.thread_time() + seconds
    while time.thread_time() < until: pass
for step in range(5):
    with nvtx.annotate(f"Step {step}"):
        with nvtx.annotate("inner"):
            with nvtx.annotate("too deep"): pass
        if step == 1: gc.collect()
        if step == 2: time.sleep(0.05)
        if step == 3: busy(0.05)
        if step == 4: list(DataLoader(Slow([1, 2])))
print("argv", sys.argv[1:], __name__, "NVTX_INJECTION64_PATH" in os.environ)
sys.exit(7)
"""
NAMES = "COALESCE(s.value, n.text)"
JOINED = "FROM NVTX_EVENTS n LEFT JOIN StringIds s ON s.id = n.textId"


def ask(path, query):
    """All rows of a query."""
    with closing(sqlite3.connect(path)) as base:
        return base.execute(query).fetchall()


def test_what_a_program_does_stands_in_the_recording(nsys, harness, tmp_path):
    script = tmp_path / "my.py"
    script.write_text(LOOP)
    done = harness(
        *("profile", "--device", "cpu", "--name", "t", "--capture", "nsys"),
        *("--", sys.executable, str(script), "one"),
    )
    assert done.returncode == 7, done.stderr
    assert "argv ['one'] __main__ True" in done.stdout + done.stderr
    (trace,) = Path(tmp_path).rglob("t.sqlite")
    ranges = ask(
        trace,
        f"SELECT {NAMES}, n.start, n.end, n.globalTid, n.domainId, c.cpuEnd - c.cpuStart {JOINED} "
        "LEFT JOIN HARNESS_RANGE_CPU c USING (start, end, globalTid) "
        "WHERE n.eventType = 59 ORDER BY n.start",
    )
    steps = {row[0]: row for row in ranges if row[0].startswith("Step")}
    assert list(steps) == [f"Step {number}" for number in range(5)]
    assert len({row[3] for row in steps.values()}) == 1
    inside = [row[0] for row in ranges if steps["Step 1"][1] < row[1] < steps["Step 1"][2]]
    assert inside == ["inner", "too deep", "Python GC (generation 2)"]
    inside = [row for row in ranges if steps["Step 4"][1] < row[1] < steps["Step 4"][2]]
    batches = [row for row in inside if row[0] == "DataLoader.__next__ (this process)"]
    assert len(batches) == 3
    assert {row[3] for row in batches} == {steps["Step 4"][3]}
    assert {row[4] for row in ranges if is_evidence(row[0])}.isdisjoint(
        {row[4] for row in ranges if not is_evidence(row[0])}
    )
    ran = {name: row[5] for name, row in steps.items()}
    assert ran["Step 2"] < 25_000_000
    assert ran["Step 3"] >= 50_000_000
    assert all(0 <= row[5] <= row[2] - row[1] for row in (*steps.values(), *batches))
    assert batches[0][5] < (batches[0][2] - batches[0][1]) / 2
    assert {row[5] is None for row in ranges if row[0] == "inner"} == {False}
    assert {row[5] for row in ranges if row[0] == "too deep"} == {None}
    manifest = json.loads(trace.with_suffix(".json").read_text())
    assert manifest["argv"][-2:] == [str(script), "one"]
    assert "launcher" not in " ".join(manifest["argv"])
    assert "5 steps" in done.stderr


@pytest.mark.parametrize(
    ("argv", "with_us"),
    [
        ((sys.executable, "my.py", "x"), True),
        ((sys.executable, "-u", "-m", "my"), True),
        (("sleep", "1"), False),
        (("torchrun", "my.py"), False),
        ((sys.executable, "-m", "torch.distributed.run", "my.py"), False),
    ],
)
def test_only_a_python_program_is_launched(argv, with_us, tmp_path, nsys):
    config = CaptureConfig(argv, "cpu", tmp_path, CaptureRange("none"))
    words = arrange(require_nsys(None), config).config.argv
    assert (words != argv) is with_us
    assert any(word.endswith("launcher.py") for word in words) is with_us
    if with_us:
        assert words[words.index("--") + 1 :][-1] == argv[-1]


def export(path, ranges, marks):
    """An export with ranges (start, end, thread) and marks (time, thread, begin or end, CPU)."""
    with closing(sqlite3.connect(path)) as base:
        base.execute("CREATE TABLE StringIds (id INTEGER, value TEXT)")
        base.execute(
            "CREATE TABLE NVTX_EVENTS (start INTEGER, end INTEGER, eventType INTEGER, text TEXT, "
            "globalTid INTEGER, textId INTEGER, int64Value INTEGER)"
        )
        rows = [(start, end, 59, "r", thread, None, None) for start, end, thread in ranges]
        rows += [
            (time, None, 34, CPU_MARKS[kind], thread, None, cpu)
            for time, thread, kind, cpu in marks
        ]
        base.executemany("INSERT INTO NVTX_EVENTS VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        base.commit()
    return path


B, E = "begin", "end"
CASES = {
    "nested": (
        [(0, 100, 1), (10, 90, 1)],
        [(1, 1, B, 500), (11, 1, B, 510), (89, 1, E, 520), (99, 1, E, 560)],
        [(0, 100, 1, 500, 560), (10, 90, 1, 510, 520)],
    ),
    "two threads": (
        [(0, 100, 1), (0, 100, 2)],
        [(1, 1, B, 5), (2, 2, B, 50), (98, 1, E, 9), (99, 2, E, 99)],
        [(0, 100, 1, 5, 9), (0, 100, 2, 50, 99)],
    ),
    "a collection before the mark": (
        [(0, 100, 1), (1, 3, 1)],
        [(4, 1, B, 5), (99, 1, E, 9)],
        [(0, 100, 1, 5, 9)],
    ),
    "the range of the marks was not recorded": (
        [(0, 100, 1)],
        [(1, 1, B, 5), (10, 1, B, 6), (20, 1, E, 7), (99, 1, E, 9)],
        [(0, 100, 1, 5, 9)],
    ),
    "only the inner one was recorded": (
        [(10, 21, 1)],
        [(1, 1, B, 5), (11, 1, B, 6), (20, 1, E, 7), (99, 1, E, 9)],
        [(10, 21, 1, 6, 7)],
    ),
    "the recording began inside": ([(0, 100, 1)], [(99, 1, E, 9)], []),
    "one never ends": (
        [(0, 100, 1)],
        [(1, 1, B, 5), (10, 1, B, 6), (99, 1, E, 9)],
        [],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_marks_find_their_ranges(case, tmp_path):
    ranges, marks, wanted = CASES[case]
    path = export(tmp_path / "t.sqlite", ranges, marks)
    assert add_cpu_times(path) == len(wanted)
    tables = ask(path, "SELECT name FROM sqlite_master WHERE name LIKE 'HARNESS%'")
    assert bool(tables) is bool(wanted)
    if wanted:
        assert sorted(ask(path, "SELECT * FROM HARNESS_RANGE_CPU")) == sorted(wanted)
        assert add_cpu_times(path) == 0  # it is there


def test_an_export_that_cannot_be_read_stays_as_it_is(tmp_path):
    path = tmp_path / "t.sqlite"
    path.write_bytes(b"no database")
    assert add_cpu_times(path) == 0
    assert path.read_bytes() == b"no database"
    assert add_cpu_times(tmp_path / "missing.sqlite") == 0
    assert not (tmp_path / "missing.sqlite").exists()
