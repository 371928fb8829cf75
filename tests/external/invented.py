"""Traces made up at random within the part of the schema where all definitions coincide."""

from __future__ import annotations

from pathlib import Path
from random import Random

from harness.analysis.writer.writer import DEVICE, PINNED, CopyKind, TraceBuilder


def invent(seed: int, path: Path) -> Path:
    """Two processes with a GPU each, two threads and three streams a process, nested ranges.

    Kernels, copies and memsets overlap freely across streams. Every call lies wholly inside or
    outside a range of its own thread.
    """
    random = Random(seed)
    trace = TraceBuilder(producer="builder", origin="synthetic")
    for rank, pid in enumerate((100, 200)):
        process = trace.process(pid)
        trace.device(rank, name="GPU", uuid=f"uuid-{rank}", pid=pid)
        for tid in (pid, pid + 1):
            thread = trace.thread(process, tid)
            clock = 1_000 + random.randrange(500)
            for step in range(random.randrange(1, 12)):
                opened = clock
                clock += random.randrange(1, 400)
                inner = clock
                for _ in range(random.randrange(6)):
                    clock += random.randrange(1, 300)
                    clock = _work(trace, random, clock, thread, rank)
                clock += random.randrange(1, 100)
                trace.nvtx(inner, clock, "inner", thread=thread, registered=bool(step % 2))
                clock += random.randrange(1, 200)
                if random.random() < 0.5:
                    clock = _work(trace, random, clock, thread, rank)
                clock += random.randrange(1, 50)
                trace.nvtx(opened, clock, f"Step {step}", thread=thread)
                clock += random.randrange(1, 2_000)
                if random.random() < 0.3:
                    clock = _work(trace, random, clock, thread, rank)
    trace.write(path)
    return path


def _work(trace: TraceBuilder, random: Random, clock: int, thread: int, device: int) -> int:
    """One call and what it makes the GPU do; returns the time at which the call is over."""
    end = clock + random.randrange(1, 60)
    process = thread & ~0xFFFFFF
    start = end + random.choice((0, 5, 900, 4_000))
    stop = start + random.choice((1, 40, 700, 3_000))
    where = {"process": process, "device": device, "stream": random.choice((7, 13, 14))}
    kind = random.randrange(4)
    if kind == 0:
        correlation = trace.api(clock, end, "cudaMemcpyAsync_v3020", thread=thread)
        copies = ((CopyKind.DTOH, DEVICE, PINNED), (CopyKind.HTOD, PINNED, DEVICE))
        copy, source, target = random.choice(copies)
        trace.memcpy(
            start,
            stop,
            bytes=64,
            copy_kind=copy,
            src_kind=source,
            dst_kind=target,
            correlation=correlation,
            **where,
        )
    elif kind == 1:
        correlation = trace.api(clock, end, "cudaMemsetAsync_v3020", thread=thread)
        trace.memset(start, stop, bytes=64, correlation=correlation, **where)
    else:
        correlation = trace.api(clock, end, "cudaLaunchKernel_v7000", thread=thread)
        trace.kernel(start, stop, name=f"k{kind}", correlation=correlation, **where)
    return end
