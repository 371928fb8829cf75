"""NVIDIA's reports read the builder's files as they read an export, and find what was put in."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.analysis.writer.writer import DEVICE, PAGEABLE, CopyKind, SyncType, TraceBuilder

from .nvidia import NoData, Nsys

pytestmark = pytest.mark.nsys

ROOT = Path(__file__).parents[2]


def everything() -> TraceBuilder:
    """One row or more in every table that the builder can fill."""
    trace = TraceBuilder(producer="builder", origin="synthetic", strategy="sync")
    process = trace.process(100)
    thread = trace.thread(process, 101, "MainThread")
    trace.device(0, name="GPU A", uuid="aaaa", smCount=100, memoryBandwidth=10**12)
    trace.session_start(1_700_000_000_000_000_000)
    trace.domain(1, "library", thread=thread, time=5)
    trace.nvtx(100, 9_000, "Step 0", thread=thread)
    trace.nvtx(150, 8_000, "work", thread=thread, domain=1, registered=False)
    trace.nvtx(200, 8_500, "async", thread=thread, start_end=True)
    trace.mark(300, "here", thread=thread)
    trace.launch(400, 500, 600, 1_600, name="void gemm<float>(int)", thread=thread)
    trace.launch(700, 800, 1_600, 1_700, name="softmax", thread=thread)
    trace.launch(810, 820, 1_700, 1_800, name="softmax", thread=thread)
    trace.copy(900, 2_500, 2_000, 2_400, bytes=4_096, dst_kind=PAGEABLE, thread=thread)
    trace.copy(
        900, 950, 2_400, 2_450, bytes=10**6, copy_kind=CopyKind.HTOD, src_kind=PAGEABLE,
        dst_kind=DEVICE, thread=thread, api_name="cudaMemcpy_v3020",
    )  # fmt: skip
    correlation = trace.api(2_600, 2_700, "cudaMemsetAsync_v3020", thread=thread)
    trace.memset(2_800, 2_900, bytes=1_024, correlation=correlation, process=process)
    correlation = trace.api(3_000, 3_100, "cudaGraphLaunch_v10000", thread=thread)
    trace.graph_trace(3_200, 4_000, correlation=correlation, process=process)
    trace.wait(4_100, 4_200, thread=thread)
    trace.wait(4_300, 4_400, thread=thread, sync_type=SyncType.EVENT)
    trace.api(4_500, 4_600, "cuCtxSynchronize", thread=thread, event_class=1)
    trace.osrt(5_000, 6_000, "pthread_cond_wait", thread=thread)
    trace.overhead(6_000, 6_100, "CUDA profiling data flush overhead", thread=thread)
    trace.cuda_overhead(6_200, 6_300, "Lazy function loading", thread=thread, kind=7)
    trace.diagnostic(0, "Profiling has started.", process=process)
    return trace


@pytest.fixture
def complete(nsys: Nsys) -> Path:
    path = nsys.folder / "complete.sqlite"
    everything().write(path)
    return path


@pytest.mark.parametrize(
    ("reports", "column", "expected"),
    [
        (
            ("gpukernsum", "cuda_gpu_kern_sum"),
            ("Name", "Instances", "Total Time (ns)"),
            {("void gemm<float>(int)", "1", "1000"), ("softmax", "2", "200")},
        ),
        (
            ("cudaapisum", "cuda_api_sum"),
            ("Name", "Num Calls", "Total Time (ns)"),
            {
                ("cudaLaunchKernel", "3", "210"),
                ("cudaMemcpyAsync", "1", "1600"),
                ("cudaMemcpy", "1", "50"),
                ("cudaMemsetAsync", "1", "100"),
                # this version strips ABI suffixes of four digits only
                ("cudaGraphLaunch_v10000", "1", "100"),
                ("cudaStreamSynchronize", "2", "200"),
                ("cuCtxSynchronize", "1", "100"),
            },
        ),
        (
            ("gpumemtimesum", "cuda_gpu_mem_time_sum"),
            ("Operation", "Count", "Total Time (ns)"),
            {
                ("[CUDA memcpy DtoH]", "1", "400"),
                ("[CUDA memcpy HtoD]", "1", "50"),
                ("[CUDA memset]", "1", "100"),
            },
        ),
        (
            ("gpumemsizesum", "cuda_gpu_mem_size_sum"),
            ("Operation", "Count", "Total (MB)"),
            {
                ("[CUDA memcpy DtoH]", "1", "0.004"),
                ("[CUDA memcpy HtoD]", "1", "1.000"),
                ("[CUDA memset]", "1", "0.001"),
            },
        ),
        (
            ("gputrace", "cuda_gpu_trace"),
            ("Start (ns)", "Duration (ns)", "Name", "Device"),
            {
                ("600", "1000", "void gemm<float>(int)", "GPU A (0)"),
                ("1600", "100", "softmax", "GPU A (0)"),
                ("1700", "100", "softmax", "GPU A (0)"),
                ("2000", "400", "[CUDA memcpy DtoH]", "GPU A (0)"),
                ("2400", "50", "[CUDA memcpy HtoD]", "GPU A (0)"),
                ("2800", "100", "[CUDA memset]", "GPU A (0)"),
            },
        ),
        (
            ("nvtxsum", "nvtx_sum"),
            ("Range", "Style", "Instances", "Total Time (ns)"),
            {
                ("Step 0", "PushPop", "1", "8900"),
                ("library:work", "PushPop", "1", "7850"),
                ("async", "StartEnd", "1", "8300"),
            },
        ),
        (("nvtxppsum", "nvtx_pushpop_sum"), ("Range",), {("Step 0",), ("library:work",)}),
        (("nvtxsesum", "nvtx_startend_sum"), ("Range",), {("async",)}),
        (
            ("nvtxkernsum", "nvtx_kern_sum"),
            ("NVTX Range", "Kernel Name", "Kern Inst"),
            {
                (step, kernel, count)
                for step in ("Step 0", "library:work", "async")
                for kernel, count in (("void gemm<float>(int)", "1"), ("softmax", "2"))
            },
        ),
        (
            ("nvtxgpuproj", "nvtx_gpu_proj_trace"),
            ("Name", "Projected Start (ns)", "Projected Duration (ns)", "NumGPUOps"),
            {(step, "600", "2300", "6") for step in ("Step 0", "library:work", "async")},
        ),
        (
            ("kernexecsum", "cuda_kern_exec_sum"),
            ("Kernel Name", "Count", "API Name"),
            {
                ("void gemm<float>(int)", "1", "cudaLaunchKernel"),
                ("softmax", "2", "cudaLaunchKernel"),
            },
        ),
        (
            ("cudaapitrace", "cuda_api_trace"),
            ("Start (ns)", "Name", "Tid", "Thread Name"),
            {
                (start, name, "101", "MainThread")
                for start, name in (
                    ("400", "cudaLaunchKernel"),
                    ("700", "cudaLaunchKernel"),
                    ("810", "cudaLaunchKernel"),
                    ("900", "cudaMemcpyAsync"),
                    ("900", "cudaMemcpy"),
                    ("2600", "cudaMemsetAsync"),
                    ("3000", "cudaGraphLaunch_v10000"),
                    ("4100", "cudaStreamSynchronize"),
                    ("4300", "cudaStreamSynchronize"),
                    ("4500", "cuCtxSynchronize"),
                )
            },
        ),
        (
            ("osrtsum", "osrt_sum"),
            ("Name", "Num Calls", "Total Time (ns)"),
            {("pthread_cond_wait", "1", "1000")},
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) and isinstance(value[0], str) else "",
)
def test_report_finds_what_was_written(
    nsys: Nsys,
    complete: Path,
    reports: tuple[str, ...],
    column: tuple[str, ...],
    expected: set[tuple[str, ...]],
) -> None:
    rows = nsys.report(complete, *reports)
    assert {tuple(row[name].strip() for name in column) for row in rows} == expected


@pytest.mark.parametrize(
    ("rules", "column", "expected"),
    [
        (("gpu-starv:gap=0", "gpu_gaps:gap=0"), ("Start (ns)", "Duration (ns)"), None),
        (
            ("cuda-async-memcpy", "cuda_memcpy_async"),
            ("Start (ns)", "Dst Kind"),
            {("2000", "Pageable")},
        ),
        (
            ("cuda-sync-memcpy", "cuda_memcpy_sync"),
            ("Start (ns)", "Src Kind"),
            {("2400", "Pageable")},
        ),
        (
            ("cuda-sync-api", "cuda_api_sync"),
            ("Start (ns)", "API Name"),
            {
                ("4100", "cudaStreamSynchronize_v3020"),
                ("4300", "cudaStreamSynchronize_v3020"),
                # cuCtxSynchronize holds the host too; their list has only runtime calls
            },
        ),
    ],
    ids=["gaps", "async-memcpy", "sync-memcpy", "sync-api"],
)
def test_rule_finds_what_was_written(
    nsys: Nsys,
    complete: Path,
    rules: tuple[str, ...],
    column: tuple[str, ...],
    expected: set[tuple[str, ...]] | None,
) -> None:
    rows = nsys.rule(complete, *rules)
    if expected is None:
        assert rows
    else:
        assert {tuple(row[name] for name in column) for row in rows} == expected


@pytest.mark.parametrize("name", ["example-sync", "example-pipelined"])
def test_worked_examples_are_readable_too(nsys: Nsys, name: str) -> None:
    path = ROOT / "traces" / f"{name}.sqlite"
    kernels = nsys.report(path, "gpukernsum", "cuda_gpu_kern_sum")
    assert sum(int(row["Total Time (ns)"]) for row in kernels) == 20 * 415_000
    copies = nsys.report(path, "gpumemtimesum", "cuda_gpu_mem_time_sum")
    assert [(row["Operation"], row["Total Time (ns)"]) for row in copies] == [
        ("[CUDA memcpy DtoH]", "40000")
    ]


def test_a_file_without_gpu_rows_is_skipped_by_their_report_not_refused(nsys: Nsys) -> None:
    trace = TraceBuilder(producer="builder", origin="synthetic")
    thread = trace.thread(trace.process(1), 1)
    trace.nvtx(1, 2, "Step 0", thread=thread)
    path = nsys.folder / "host-only.sqlite"
    trace.write(path)
    with pytest.raises(NoData):
        nsys.report(path, "gpukernsum", "cuda_gpu_kern_sum")
    assert [row["Range"] for row in nsys.report(path, "nvtxsum", "nvtx_sum")] == ["Step 0"]
