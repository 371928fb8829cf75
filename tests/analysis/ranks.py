"""Ranks of one job that meet in an AllReduce every step, by hand-set arrivals, microseconds.

All ranks leave the collective together; rank r then idles `host[r]` in Python and 5 in the launch
call, computes, and enters the next collective, which ends `transfer` after the last has come. Each
rank's clock starts elsewhere, as on hosts of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.analysis.writer.writer import TraceBuilder

US = 1000
LAUNCH = 5
ALL_REDUCE = "ncclDevKernel_AllReduce_Sum_bf16_RING_LL"


def job(
    folder: Path,
    host: Sequence[Sequence[int]],
    compute: Sequence[Sequence[int]],
    *,
    transfer: int = 20,
    names: Sequence[str] | None = None,
    kernel: str = ALL_REDUCE,
    skip: Sequence[tuple[int, int]] = (),
    waits: bool = False,
) -> list[Path]:
    """One trace a rank. `host[r][s]` and `compute[r][s]`: of rank r in step s.

    `skip`: (rank, step) without its collective kernel. `waits`: the host synchronises at the end
    of each step, else it just happens to go on then.
    """
    ranks, steps = range(len(host)), range(len(host[0]))
    begin = 1000
    edges = []
    for s in steps:
        arrive = [begin + host[r][s] + LAUNCH + compute[r][s] for r in ranks]
        end = max(arrive) + transfer
        edges.append((begin, arrive, end))
        begin = end
    paths = []
    for r in ranks:
        trace = TraceBuilder(producer="builder", origin="synthetic")
        pid = 100 + r
        thread = trace.thread(trace.process(pid), pid, "MainThread")
        trace.device(name="Test GPU", uuid=f"GPU-{r}")
        write_rank(
            trace, thread, edges, r, host, compute, kernel, skip, offset=r * 7_777_777, waits=waits
        )
        path = folder / (names[r] if names else f"job-rank{r}.sqlite")
        path.parent.mkdir(parents=True, exist_ok=True)
        trace.write(path)
        paths.append(path)
    return paths


def write_rank(
    trace: TraceBuilder,
    thread: int,
    edges,
    r: int,
    host,
    compute,
    kernel,
    skip,
    *,
    offset=0,
    waits: bool = False,
) -> None:
    """The rows of one rank, on a clock that is `offset` us ahead."""
    for s, (begin, arrive, end) in enumerate(edges):
        at = offset + begin
        call = at + host[r][s]
        start = call + LAUNCH
        trace.nvtx(at * US, (call + 3 * LAUNCH) * US, f"Step {s}", thread=thread)
        trace.launch(call * US, start * US, start * US, (offset + arrive[r]) * US, thread=thread)
        if (r, s) not in skip:
            trace.launch(
                (start + 1) * US, (start + 1 + LAUNCH) * US, (offset + arrive[r]) * US,
                (offset + end) * US, name=kernel, thread=thread,
            )  # fmt: skip
        if waits:
            called = start + 1 + LAUNCH
            trace.wait(called * US, (offset + end) * US, thread=thread)
