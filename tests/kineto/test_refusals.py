"""What is no torch.profiler trace is refused in one line that says why."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from harness.analysis.analyze import analyze
from harness.analysis.model.errors import TraceError
from harness.analysis.readers.open import open_trace

from .kineto_json import event, kineto_2_11, launch
from .test_reading import small_loop

GOOD = kineto_2_11(small_loop())
ZIPPED = gzip.compress(GOOD, mtime=0)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (GOOD[:-400], "ends in the middle of its events"),
        (GOOD[: GOOD.index(b'"traceEvents"') - 5], "is not valid JSON"),
        (GOOD[:-3], "is not valid JSON"),
        (GOOD[: len(GOOD) // 2], "ends in the middle of its events"),
        (GOOD.replace(b'"ph": "X"', b'"ph": X', 1), "is not valid JSON"),
        (GOOD + b"{}", "is not valid JSON"),
        (GOOD.replace(b'"traceName"', b'"traceEvents"'), "traceEvents stands in it twice"),
        (ZIPPED[:-200], "gzip data ends early"),
        (ZIPPED[:300] + b"\0" * 40 + ZIPPED[340:], "gzip data is damaged"),
        (b"\x1f\x8bnot gzip at all", "gzip data"),
        (gzip.compress(b"SQLite format 3\0", mtime=0), "is an SQLite file inside gzip"),
        (b"{}", "without a traceEvents array"),
        (b'{"traceEvents": 7}', "without a traceEvents array"),
        (b'{"manifest_version": 1}', "is the manifest of a trace"),
        (b'{"traceEvents": [1, 2]}', "is not valid JSON"),
        (b'{"traceEvents": []}', "no torch.profiler trace"),
        (b"[]", "no torch.profiler trace"),
        (b"[] []", "is not valid JSON"),
        (b'{"traceEvents": [{"ph": "X", "cat": "viz", "name": "f"}]}', "categories: viz"),
        (b'{"traceEvents": [{"ph": "X", "args": 3}]}', "is not valid JSON"),
        (b'{"a": ' + b"[" * 5000 + b"]" * 5000 + b', "traceEvents": []}', "t.json"),
    ],
)
def test_refused_in_one_line(tmp_path: Path, data: bytes, why: str) -> None:
    path = tmp_path / "t.json"
    path.write_bytes(data)
    with pytest.raises(TraceError) as raised:
        open_trace(path)
    text = str(raised.value)
    assert why in text
    assert text.count("\n") == 0
    assert str(path) in text


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    for length in range(1, len(GOOD) - 1, 13):
        path.write_bytes(GOOD[:length])
        with pytest.raises(TraceError):
            open_trace(path)


def test_host_only(tmp_path: Path) -> None:
    made = [event("user_annotation", f"ProfilerStep#{k}", k * 100, k * 100 + 90, 1, 1)
            for k in range(12)]  # fmt: skip
    path = tmp_path / "cpu.json"
    path.write_bytes(kineto_2_11(made))
    report = analyze(path)
    assert [v.code for v in report.verdicts] == ["host-only"]
    assert not report.empty
    assert [h.steps for h in report.host] == [12]


def test_the_name_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "trace.sqlite"
    path.write_bytes(ZIPPED)
    assert len(open_trace(path).operations) == 4


def test_command_line(tmp_path: Path, inside) -> None:
    (tmp_path / "t.json.gz").write_bytes(ZIPPED)
    done = inside("gaps", "t.json.gz", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert '"producer": "torch.profiler"' in done.stdout
    (tmp_path / "bad.json").write_bytes(GOOD[:-400])
    done = inside("gaps", "bad.json")
    assert done.returncode == 1
    assert "cut short" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file: nothing to refuse")
def test_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_bytes(GOOD)
    path.chmod(0)
    with pytest.raises(TraceError):
        open_trace(path)


def test_a_wrong_cut_is_found_and_mended(tmp_path: Path) -> None:
    """Kineto's boundary inside an event's own arguments: looks like two events, is one."""
    inner = b'{"x": [\n  {\n  },\n  {\n  }]}'
    made = [e for k in range(4000) for e in launch("k", (k, k + 1), (k + 2, k + 3), k + 1)]
    data = kineto_2_11(made).replace(b'"queued": 0', b'"queued": ' + inner)
    path = tmp_path / "t.json"
    path.write_bytes(data)
    assert len(open_trace(path).operations) == 4000
