"""From a loop drawn by hand to its answer."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from harness.analysis.analyze import analyze
from harness.analysis.answer.compose import Answer, answer_of
from harness.analysis.question import Question
from harness.analysis.report import TraceReport
from tests.gains.support import US
from tests.gains.test_changes import Drawn

STEPS = 16


def reported(
    step: Callable[[Drawn, int], None], *, steps: int = STEPS, question: Question | None = None
) -> TraceReport:
    """The analysis of so many such steps, `Step 0` and on."""
    loop = Drawn()
    for number in range(steps):
        start = loop.now
        loop.now += 1
        step(loop, number)
        loop.trace.nvtx(start * US, loop.now * US, f"Step {number}", thread=loop.thread)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.sqlite"
        loop.trace.write(path)
        return analyze(path, question)


def answered(step: Callable[[Drawn, int], None], *, steps: int = STEPS) -> Answer:
    """What is said of them."""
    return answer_of(reported(step, steps=steps))
