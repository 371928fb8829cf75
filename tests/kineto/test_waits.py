"""What torch.profiler says of waits, polls and its own work, in loops made by hand.

Every loop: 14 steps of 100 us; host 10, launch call 5, queue 5, kernel 60, from 20 to 80.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.analysis.analyze import analyze
from harness.analysis.idle.sizes import Sizes
from harness.analysis.model.source import TORCH_PROFILER
from harness.analysis.readers.metadata import Metadata
from harness.analysis.readers.open import open_trace
from harness.analysis.report import TraceReport
from harness.analysis.store.opened import Store
from harness.analysis.store.save import save_trace

from .kineto_json import US, profiled_loop


def read(folder: Path, data: bytes) -> TraceReport:
    path = folder / "t.json"
    path.write_bytes(data)
    return analyze(path)


def steady(found: TraceReport) -> tuple[str, dict[str, float], dict[str, float]]:
    (series,) = found.series
    assert series.steady is not None
    assert series.steady.period_ns == 100 * US
    causes = {name: ns / US for name, ns in series.steady.causes.items() if ns}
    return series.steady.limiter, causes, series.steady.drained_by


FLUSH = ("overhead", "Buffer Flush", 80, 25)


def test_the_profilers_work_that_names_no_thread_is_every_threads(tmp_path: Path) -> None:
    found = read(tmp_path, profiled_loop([FLUSH]))
    assert steady(found)[1] == {"profiler": 25, "host": 5, "launch": 5, "queue": 5}
    (said,) = [v for v in found.verdicts if v.code == "profiler-overhead"]
    assert "23.9%" in said.reason  # 13 flushes of 25 in a window of 1,360


def test_loading_a_kernel_on_first_use_is_not_the_profilers(tmp_path: Path) -> None:
    names = ("Lazy Function Loading", "Runtime Triggered Module Loading", "Driver Compiler")
    for name in names:
        found = read(tmp_path, profiled_loop([("overhead", name, 80, 25)]))
        assert steady(found)[1] == {"host": 30, "launch": 5, "queue": 5}
        assert not [v for v in found.verdicts if v.code == "profiler-overhead"]


def test_a_store_keeps_whose_work_it_is(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_bytes(profiled_loop([FLUSH]))
    (tmp_path / "store").mkdir()
    said = Metadata({"EXPORT_PRODUCT_NAME": TORCH_PROFILER}, None, None)
    save_trace(open_trace(path), said, tmp_path / "store")
    found = analyze(Store(tmp_path / "store", path), None, Sizes(3, 3))
    assert found.devices[0].causes == analyze(path).devices[0].causes


@pytest.mark.parametrize(
    ("category", "api", "wait"),
    [
        ("cuda_runtime", "cudaLaunchKernel", "cudaStreamSynchronize"),
        ("cuda_runtime", "hipLaunchKernel", "hipStreamSynchronize"),
        ("xpu_runtime", "urEnqueueKernelLaunch", "urQueueFinish"),
        ("xpu_runtime", "urEnqueueKernelLaunch", "urEventWait"),
        ("xpu_driver", "zeCommandListAppendLaunchKernel", "zeEventHostSynchronize"),
        ("privateuse1_runtime", "aclrtLaunchKernel", "aclrtSynchronizeStream"),
    ],
)
def test_every_accelerators_waits_are_known(
    tmp_path: Path, category: str, api: str, wait: str
) -> None:
    limiter, causes, drained = steady(
        read(tmp_path, profiled_loop([(category, wait, 15, 70)], api=api))
    )
    assert limiter == "sync"
    assert causes == {"sync": 5, "host": 25, "launch": 5, "queue": 5}
    assert drained == {f"ProfilerStep#* · {wait}": 40 * US}


def queries(starts: Sequence[int]) -> list[tuple[str, str, int, int]]:
    return [("cuda_runtime", "cudaEventQuery", start, 1) for start in starts]


def test_a_poll_ends_with_the_query_before_which_work_ended(tmp_path: Path) -> None:
    """No call says what it returned. The kernel ends at 80, between the last two queries."""
    limiter, causes, drained = steady(read(tmp_path, profiled_loop(queries(range(20, 86, 4)))))
    assert (limiter, causes) == ("sync", {"sync": 5, "host": 25, "launch": 5, "queue": 5})
    assert drained == {"ProfilerStep#* · cudaEventQuery": 40 * US}


@pytest.mark.parametrize("starts", [range(20, 60, 4), range(78, 84, 4)], ids=["early", "two"])
def test_queries_that_nothing_answered_are_no_wait(tmp_path: Path, starts: range) -> None:
    _, causes, drained = steady(read(tmp_path, profiled_loop(queries(starts))))
    assert "sync" not in causes
    assert drained == {}
