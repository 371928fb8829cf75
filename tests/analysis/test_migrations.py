"""Pages of managed memory that move by themselves: a cause of their own, inside their step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.analysis.model.schema import CopyKind
from harness.analysis.question import Question
from harness.analysis.reports.base import Report
from harness.analysis.reports.tables.details import steps
from harness.analysis.scenes.states import gap_states
from harness.analysis.writer.writer import TraceBuilder

from .build import US, builder, report
from .test_causes import split

MANAGED = (CopyKind.MANAGED_HTOD, CopyKind.MANAGED_DTOH, CopyKind.MANAGED_DTOD)


def loop(kind: int = CopyKind.MANAGED_DTOH) -> TraceBuilder:
    """Steps of 1,000 us: kernels [20, 320) and [420, 820), pages that move at [350, 380)."""
    trace, thread = builder()
    for step in range(14):
        base = 1000 * (step + 1)
        trace.nvtx(base * US, (base + 990) * US, f"Step {step}", thread=thread)
        for call, start, end in ((10, 20, 320), (20, 420, 820)):
            trace.launch(
                (base + call) * US, (base + call + 5) * US, (base + start) * US,
                (base + end) * US, thread=thread,
            )  # fmt: skip
        trace.memcpy(
            (base + 350) * US, (base + 380) * US, bytes=4096, copy_kind=kind, correlation=0,
            process=thread & ~0xFFFFFF, stream=0,
        )  # fmt: skip
    return trace


@pytest.mark.parametrize("kind", MANAGED)
def test_the_idle_time_around_a_migration_is_its_doing(tmp_path: Path, kind: int) -> None:
    found = report(loop(kind), tmp_path)
    assert split(found) == {
        "host": 13 * 190, "launch": 13 * 5, "queue": 13 * 5, "migration": 14 * (30 + 40),
    }  # fmt: skip
    assert not [v for v in found.verdicts if v.code == "launches-unknown"]


def test_pages_are_in_no_context_and_no_stream(tmp_path: Path) -> None:
    """They move both ways at once, on every device, and rows name one context and stream."""
    trace = loop()
    trace.device(1, name="Test GPU", uuid="00000000-0000-0000-0000-000000000002")
    for step in range(14):
        base = 1000 * (step + 1)
        for device, kind in ((0, CopyKind.MANAGED_HTOD), (1, CopyKind.MANAGED_HTOD)):
            trace.memcpy(
                (base + 355) * US, (base + 385) * US, bytes=4096, copy_kind=kind, correlation=0,
                process=(100 << 24) | 1 << 48, stream=0, device=device,
            )  # fmt: skip
    found = report(trace, tmp_path)
    assert [v.code for v in found.verdicts] == []
    assert found.series[0].steady is not None
    assert found.series[0].steady.idle_ns == 265 * US


def test_a_migration_is_its_steps(tmp_path: Path) -> None:
    (series,) = report(loop(), tmp_path).series
    assert series.steady is not None
    assert series.steady.idle_ns == 270 * US
    assert series.unassigned_ns == 0
    assert series.table.operations.tolist() == [3] * 14
    assert (series.table.idle[1:] == 270 * US).all()


def test_the_table_of_steps_names_it(tmp_path: Path) -> None:
    found = report(loop(), tmp_path)
    (series,) = found.series
    names = [cause.name for cause in found.attributions[0].causes]
    spent = series.table.by_cause[names.index("migration")]
    assert spent.tolist() == [70 * US] * 14
    assert series.table.by_cause.sum(axis=0).tolist() == series.table.idle.tolist()
    table = steps(Report((found,), (), Question(by="step")))
    at = [column.name for column in table.columns].index("mostly")
    assert [row[at] for row in table.rows] == ["migration 100%", *["host 70%, migration 26%"] * 13]


def test_the_states_of_a_gap_name_it(tmp_path: Path) -> None:
    found = report(loop(), tmp_path)
    gaps, split = found.gaps[0], found.attributions[0]
    states = gap_states(found.trace, gaps, split)
    names = np.array([cause.name for cause in split.causes])[states.cause]
    assert np.count_nonzero(names == "migration") == 2 * 14


def test_a_copy_that_was_asked_for_is_none(tmp_path: Path) -> None:
    """cudaMemPrefetchAsync moves pages too, on a stream, and in order."""
    trace, thread = builder()
    process = thread & ~0xFFFFFF
    trace.launch(0, 5 * US, 8 * US, 20 * US, thread=thread)
    call = trace.api(6 * US, 9 * US, "cudaMemPrefetchAsync_v8000", thread=thread)
    trace.memcpy(
        30 * US, 40 * US, bytes=4096, copy_kind=CopyKind.MANAGED_HTOD, correlation=call,
        process=process,
    )  # fmt: skip
    trace.launch(10 * US, 15 * US, 45 * US, 50 * US, thread=thread)
    assert split(report(trace, tmp_path)) == {"queue": 15}
