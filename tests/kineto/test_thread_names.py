"""Threads are called by their names: `thread 639 (pt_autograd_0)` is `pt_autograd_0 639`."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.analysis.analyze import analyze
from harness.analysis.question import Question
from harness.analysis.reports.base import Report, Terminal
from harness.analysis.reports.table import render

from .kineto_json import event, kineto_2_11, launch

US = 1000


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("thread 639 (pt_autograd_0)", "launched by thread pt_autograd_0 639,"),
        ("thread 639", "launched by thread 639,"),
        ("loader", "launched by thread loader 639,"),
        (None, "launched by thread 639,"),
    ],
)
def test_no_thread_thread(tmp_path: Path, name: str | None, shown: str) -> None:
    made = []
    for k in range(14):
        at = k * 100 * US
        made.append(event("user_annotation", f"ProfilerStep#{k}", at, at + 99 * US, 100, 100))
        call, gpu = (at + 10 * US, at + 15 * US), (at + 20 * US, at + 80 * US)
        made += launch("gemm", call, gpu, k + 1, tid=639)
    if name:
        made.append(
            {"name": "thread_name", "ph": "M", "pid": 100, "tid": 639, "args": {"name": name}}
        )
    path = tmp_path / "t.json"
    path.write_bytes(kineto_2_11(made))
    text = " ".join(
        render(Report((analyze(path),), (), Question(all_tables=True)), Terminal(200)).split()
    )
    assert shown in text
    assert "thread thread" not in text
