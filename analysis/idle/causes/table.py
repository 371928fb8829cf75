"""The causes: name, phase, priority, meaning, remedy, and what each goes by."""

from __future__ import annotations

from ..held import functions_awaited, switched_out
from .base import Cause, Phase
from .claims import (
    allocator_rows,
    api_rows,
    handed_over,
    held_back,
    migrating,
    profiler_rows,
    same_launch,
    stalled,
    sync_rows,
)

CAUSES = (
    Cause(
        "profiler", Phase.BEFORE, 10,
        "the profiler was flushing buffers or instrumenting on the launching thread",
        "not the program's doing: shorten the captured window, or trace less",
        rows=profiler_rows,
    ),
    Cause(
        "allocator", Phase.BEFORE, 20,
        "the launching thread was inside cudaMalloc, cudaFree or kin",
        "preallocate, reuse a static cache, or let the caching allocator grow in segments",
        rows=allocator_rows,
    ),
    Cause(
        "sync", Phase.BEFORE, 30,
        "the launching thread was still waiting for the GPU",
        "wait on the event of the one copy you read, a step late, instead of on the stream",
        rows=sync_rows,
    ),
    Cause(
        "api", Phase.BEFORE, 40,
        "the launching thread was inside another CUDA call",
        "fewer calls per step: fewer events and queries, fused kernels, a CUDA graph",
        rows=api_rows,
    ),
    Cause(
        "handoff", Phase.BEFORE, 50,
        "another thread launched the work before the gap; this one had made no CUDA call since",
        "launch from one thread, or hand over earlier than the queue runs dry",
        claims=handed_over,
    ),
    Cause(
        "host", Phase.BEFORE, 90,
        "the launching thread was in Python or framework code, between CUDA calls",
        "run ahead of the GPU (no synchronisation), or do less per step: compile, CUDA graph",
    ),
    Cause(
        "launch", Phase.LAUNCH, 90,
        "inside the CUDA call that launched the operation after the gap",
        "fewer, larger launches: fused kernels or a CUDA graph",
    ),
    Cause(
        "migration", Phase.AFTER, 5,
        "pages of managed memory were moving, because the host or the GPU touched them",
        "move them beforehand (cudaMemPrefetchAsync), say where they belong (cudaMemAdvise), or "
        "copy explicitly",
        claims=migrating,
    ),
    Cause(
        "host-function", Phase.AFTER, 6,
        "a host function that the stream or the graph had to wait for was running",
        "keep host functions short and few: no Python and no locks in them; or let the host wait "
        "for an event and do the work itself, while the GPU goes on",
        holds=functions_awaited,
    ),
    Cause(
        "other-context", Phase.AFTER, 7,
        "another process's context had the GPU, which runs one process's context at a time",
        "run alone on the GPU, or let the processes share it (MPS, or MIG): else they take turns",
        holds=switched_out,
    ),
    Cause(
        "graph", Phase.AFTER, 10,
        "between two operations of one launch: inside a CUDA graph, on the device",
        "fewer, larger nodes; the host is not involved",
        claims=same_launch,
    ),
    Cause(
        "dependency", Phase.AFTER, 20,
        "launched, but waiting for another device or process, a host function or a semaphore",
        "record the event earlier, or drop the wait where the order is given anyway",
        claims=held_back,
    ),
    Cause(
        "stall", Phase.AFTER, 80,
        "launched, and not started for over 100 µs: no launch takes that long, and what held it "
        "was not recorded",
        "look for another process or context on the GPU (nsys profile --gpuctxsw=true), a wait "
        "that was not traced, a collective that waits for its partners, or clocks that disagree",
        claims=stalled,
    ),
    Cause(
        "queue", Phase.AFTER, 90,
        "launched, not yet started: launch latency and the device's own scheduling",
        "a few microseconds per operation are the hardware's; a CUDA graph shortens them",
    ),
    Cause(
        "tail", Phase.NONE, 10,
        "no operation follows inside the window",
        "look at a window that ends with work",
    ),
    Cause(
        "unknown", Phase.NONE, 20,
        "the launch of the operation after the gap was not recorded",
        "record CUDA API calls too (`--trace=cuda`), and start before the work is launched",
    ),
)  # fmt: skip
