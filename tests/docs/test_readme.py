"""README.md: what its sentences say of the recordings is what the analysis finds."""

from __future__ import annotations

from harness.analysis.analyze import analyze
from harness.analysis.exports.frames import steps_frame
from harness.analysis.idle.figures import Steady
from harness.analysis.report import TraceReport

from ..conftest import ROOT
from .pages import text


def _steady(report: TraceReport) -> Steady:
    found = report.series[0].steady
    assert found is not None
    return found


def test_the_prediction_is_held_against_the_recording() -> None:
    eager, graph = (
        analyze(ROOT / "traces" / f"h100-{name}.sqlite") for name in ("kv-cache", "cuda-graph")
    )
    median = steps_frame(graph).query("steady")["period_ns"].median() / 1e6
    longer = (_steady(graph).busy_ns - _steady(eager).busy_ns) / 1e6
    page = " ".join(text("README.md").split())
    assert (
        f"the median step takes {median:.2f} ms, and the GPU works {longer:.2f} ms longer" in page
    )
    ladder = eager.gains[0].ladder
    assert ladder is not None
    (rung,) = (one for one in ladder.rungs if one.change == "graph")
    assert f"and leave {rung.step_ns / 1e6:.2f} ms" in page
    assert abs(rung.step_ns / 1e6 + longer - median) < 0.03 * median
