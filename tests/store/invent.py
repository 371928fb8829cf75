"""Random traces with everything that makes chunks hard.

Times on a coarse grid, so that many are equal; several processes, threads, devices, streams;
graphs, waits, polls, flags, captures, ranges that nest, cross or never close; rows that no call
launched, rows that cannot be used, repeated ids; host functions, and contexts that take turns.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

from harness.analysis.model.schema import CopyKind
from harness.analysis.writer.writer import TraceBuilder

CALLS = (
    "cudaMalloc_v3020", "cudaEventRecord_v3020", "cudaLaunchHostFunc_v10000", "cudaFree_v3020",
    "cudaStreamBeginCapture_v10000", "cudaStreamEndCapture_v10000", "cudaLaunchKernel_v7000",
    "cudaIpcOpenEventHandle_v4010",
)  # fmt: skip
QUERIES = ("cudaEventQuery_v3020", "cudaEventQuery_v3020", "cudaGetLastError_v3020")
KERNELS = ("gemm", "relu", "ncclDevKernel_AllReduce", "softmax")
RANGES = ("Step {n}", "Step {n}", "Model Forward", "Check {n}", "Step 1", "outer Step {n}")
OVERHEADS = ("CUPTI Buffer flush", "Command Buffer Full", "CUDA profiling data flush overhead")


def invent(seed: int, path: Path, *, size: int = 40, known_devices: bool = True) -> Path:
    """Write one; the same seed gives the same trace."""
    random = Random(seed)
    trace = TraceBuilder(producer="builder", origin="synthetic", allow_invalid=True)
    devices = random.randrange(1, 4)
    for device in range(devices if known_devices else 0):
        trace.device(device, name="GPU", uuid=f"uuid-{device}")
    grid = random.choice((1, 10, 100))
    for pid in range(100, 100 + 100 * random.randrange(1, 3), 100):
        process = trace.process(pid)
        threads = [trace.thread(process, pid + k, f"t{k}") for k in range(random.randrange(1, 4))]
        for thread in threads:
            clock = 1_000 + grid * random.randrange(50)
            for _ in range(random.randrange(1, size)):
                clock = _event(trace, random, clock, grid, thread, threads, devices)
            if random.random() < 0.2:
                clock = _spin(trace, random, clock, thread, devices)
            _ranges(trace, random, clock, grid, thread, threads)
    _holds(trace, Random(f"{seed}, held"), grid, devices)
    trace.write(path, force=True)
    return path


def _event(
    trace: TraceBuilder,
    random: Random,
    clock: int,
    grid: int,
    thread: int,
    threads: list[int],
    devices: int,
) -> int:
    def span(most: int) -> int:
        return grid * random.randrange(most)

    clock += span(6)
    end = clock + span(5)
    start = max(clock + span(40) - grid * 2, 1)
    stop = start + grid * random.randrange(1, 30)
    process = thread & ~0xFFFFFF
    where = {"device": random.randrange(devices), "stream": random.choice((7, 13, 14))}
    kind = random.randrange(16)
    if kind == 0:
        held = stop + random.choice((-grid, 0, grid))
        trace.copy(clock, max(held, clock), start, stop, bytes=8, thread=thread, **where)
        return max(held, clock)
    if kind == 1:
        trace.api(clock, end, random.choice(CALLS), thread=thread,
                  return_value=random.choice((0, 0, 2)))  # fmt: skip
    elif kind == 2:
        trace.wait(clock, end + span(30), thread=thread, stream=where["stream"])
    elif kind == 3:
        trace.wait(clock, end, thread=thread, api_name="cudaStreamWaitEvent_v3020", sync_type=2,
                   stream=where["stream"])  # fmt: skip
    elif kind == 4:
        trace.overhead(clock, end + grid, random.choice(OVERHEADS), thread=thread)
    elif kind == 5:
        call = trace.api(clock, end, "cudaGraphLaunch_v10000", thread=thread)
        for k in range(3):
            at = start + grid * 5 * k
            trace.kernel(at, at + grid * 4, name="node", correlation=call, process=process, **where)
        at = max(clock - grid, 1)  # a copy that ends before its graph's launch returns
        trace.memcpy(at, at + grid, bytes=8, correlation=call, process=process, **where)
        graph, run = random.randrange(1, 4), random.randrange(4)
        for k in range(run):  # the same graph's conditional body, which no call launches
            at = start + grid * 20 + grid * 5 * k
            trace.kernel(at, at + grid * 4, name="body", correlation=0, process=process,
                         graph_node=graph << 32 | k, **where)  # fmt: skip
        if run:
            trace.kernel(start, start + grid, name="first", correlation=call, process=process,
                         graph_node=random.choice((graph, 1)) << 32 | 9, **where)  # fmt: skip
    elif kind == 6:
        call = trace.api(clock, end, "cudaGraphLaunch_v10000", thread=thread)
        trace.graph_trace(start, stop, correlation=call, process=process, **where)
    elif kind == 7:
        call = trace.api(clock, end, "cudaMemcpyPeerAsync_v4000", thread=thread)
        trace.memcpy(start, stop, bytes=8, copy_kind=CopyKind.PTOP, correlation=call,
                     process=process, **where)  # fmt: skip
    elif kind == 8:
        trace.kernel(start, stop, name="orphan", correlation=random.choice((0, 999_999)),
                     process=process, **where)  # fmt: skip
    elif kind == 9:
        other = random.choice(threads)
        call = trace.api(clock, end, "cudaLaunchKernel_v7000", thread=thread)
        trace.api(clock, end + grid, "cuLaunchKernel", thread=other, correlation=call)
        trace.kernel(start, stop, name="twice", correlation=call, process=process, **where)
    elif kind == 11:
        for _ in range(random.randrange(1, 9)):
            trace.api(clock, end, random.choice(QUERIES), thread=thread,
                      return_value=random.choice((600, 600, 600, 0)))  # fmt: skip
            clock, end = end + span(9), end + span(9) + span(3)
            end = max(clock, end)
    elif kind == 12:
        trace.memcpy(start, stop, bytes=4096, copy_kind=random.choice((11, 12, 13)), correlation=0,
                     process=process, device=where["device"], stream=0)  # fmt: skip
    elif kind == 10 and random.random() < 0.3:
        trace.kernel(start, start, name="empty", correlation=1, process=process, **where)
    else:
        trace.launch(clock, end, start, stop, name=random.choice(KERNELS), thread=thread, **where)
    return end if random.random() < 0.9 else clock


def _spin(trace: TraceBuilder, random: Random, clock: int, thread: int, devices: int) -> int:
    """A loop that waits for a flag in pinned memory."""
    where = {"device": random.randrange(devices), "stream": random.choice((7, 13))}
    for _ in range(random.randrange(10, 40)):
        end = clock + 50_000 + random.randrange(40_000)
        trace.copy(
            clock, clock + 900, clock + 2_000, end, bytes=8, thread=thread, dst_kind=1, **where
        )
        # Seldom late; the next call may begin before the copy has ended, by what clocks are off.
        clock = end + random.choice((-500, 0, 700, 1_500) if random.random() < 0.95 else (90_000,))
        trace.launch(clock, clock + 500, clock + 3_000, clock + 9_000, thread=thread, **where)
        clock += 12_000 + random.randrange(5_000)
    return clock


def _ranges(
    trace: TraceBuilder, random: Random, last: int, grid: int, thread: int, threads: list[int]
) -> None:
    at = 900
    for number in range(random.randrange(0, 14)):
        length = grid * random.randrange(1, 40)
        name = random.choice(RANGES).format(n=number)
        shape = random.randrange(8)
        if shape == 0:
            trace.nvtx(at, at + length, name, thread=thread, start_end=True,
                       end_thread=random.choice(threads))  # fmt: skip
        elif shape == 1:
            trace.nvtx(at, None, name, thread=thread)
        else:
            trace.nvtx(at, at + length, name, thread=thread, registered=random.random() < 0.7)
        if random.random() < 0.6:
            trace.nvtx(at + grid, at + max(length // 2, grid), "inner", thread=thread)
        at += length if random.random() < 0.7 else grid * random.randrange(8)
    del last


def _holds(trace: TraceBuilder, random: Random, grid: int, devices: int) -> None:
    """Of half the traces; what is nobody's, overlaps, or has impossible times is among it."""
    processes = [1 << 48 | pid << 24 for pid in (100, 200, 300)]

    def time(most: int = 200) -> int:
        return 1_000 + grid * random.randrange(most)

    for _ in range(random.randrange(60) if random.random() < 0.5 else 0):
        start = time()
        end = start + grid * random.randrange(-1, 9)
        trace.host_function(start, random.choice((end, end, end, None, 2**61)),
                            process=random.choice((*processes, None)),
                            device=random.randrange(devices))  # fmt: skip
    for gpu in range(devices + 1) if random.random() < 0.5 else ():
        contexts = [
            (20 + k, random.choice((100, 100, 200, 300, None)))
            for k in range(random.randrange(2, 4))
        ]
        for context, pid in contexts:
            if random.random() < 0.2:
                trace.context(1, pid=pid or 100, hardware=context, device=gpu)
        at = time(20)
        for _ in range(random.randrange(60)):
            context, pid = random.choice(contexts)
            process = None if pid is None else 1 << 48 | pid << 24
            until = at + grid * random.randrange(40)
            for when, begin in ((at, True), (until, False)):
                if random.random() < 0.95:
                    trace.context_switch(when, begin=begin, context=context, gpu=gpu,
                                         process=process)  # fmt: skip
            at = until + random.choice((0, grid))
