"""Decode and training loops made up operation by operation, with or without their ranges."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import asdict, replace

from harness.analysis.idle.infer.infer import InferredSteps
from harness.analysis.idle.steps import StepSeries
from harness.analysis.model.schema import CopyKind
from harness.analysis.model.trace import Trace
from harness.analysis.readers.open import open_trace
from harness.analysis.writer.writer import PAGEABLE, PINNED, SyncType, TraceBuilder

US = 1000
LAYER = ("layer_norm", "gemm_qkv", "split", "attention", "gemm_out", "add", "layer_norm", "gemm_up",
         "gelu", "gemm_down", "add")  # fmt: skip


class Host:
    """One launching thread and in-order streams: launches, copies, waits, ranges."""

    def __init__(self, tid: int = 100, trace: TraceBuilder | None = None, at: int = 1000) -> None:
        self.trace = trace or TraceBuilder(producer="builder", origin="synthetic")
        self.trace.device(name="Test GPU", uuid="00000000-0000-0000-0000-000000000001")
        self.thread = self.trace.thread(self.trace.process(100), tid)
        self.now = at * US
        self.free: dict[int, int] = {}
        self.ranges = True
        self.last_copy = 0

    def _span(self, stream: int, length: int, launched: int) -> tuple[int, int]:
        start = max(self.free.get(stream, 0) + US, launched + 3 * US)
        self.free[stream] = start + length
        return start, start + length

    def kernel(self, name: str, stream: int = 7, length: int = 20 * US, cost: int = 5 * US) -> None:
        begun, self.now = self.now, self.now + cost
        span = self._span(stream, length, self.now)
        self.trace.launch(begun, self.now, *span, name=name, thread=self.thread, stream=stream)
        self.now += 2 * US

    def item(self, stream: int = 7) -> None:
        """`.item()`: a pageable copy holds the host until its data is there."""
        begun = self.now
        span = self._span(stream, 2 * US, begun + 5 * US)
        self.now = span[1] + 3 * US
        self.trace.copy(begun, self.now, *span, bytes=1, dst_kind=PAGEABLE, thread=self.thread,
                        stream=stream)  # fmt: skip
        self.trace.wait(self.now + US, self.now + 2 * US, thread=self.thread, stream=stream)
        self.now += 4 * US

    def copy_flag(self, stream: int = 7) -> None:
        """A copy to pinned memory that nobody waits for yet."""
        begun, self.now = self.now, self.now + 5 * US
        span = self._span(stream, 2 * US, self.now)
        self.trace.copy(begun, self.now, *span, bytes=1, dst_kind=PINNED, thread=self.thread,
                        stream=stream)  # fmt: skip
        self.now += US
        self.last_copy = span[1]

    def upload(self, stream: int = 7) -> None:
        """A batch from pageable memory: the host waits for its own copy."""
        begun = self.now
        span = self._span(stream, 4 * US, begun + 5 * US)
        self.now = span[1] + 2 * US
        self.trace.copy(begun, self.now, *span, bytes=64, copy_kind=CopyKind.HTOD,
                        src_kind=PAGEABLE, thread=self.thread, stream=stream)  # fmt: skip
        self.trace.wait(self.now + US, self.now + 2 * US, thread=self.thread, stream=stream)
        self.now += 4 * US

    def wait_event(self, done: int) -> None:
        """cudaEventSynchronize on something that is done at `done`."""
        begun = self.now
        self.now = max(begun + 2 * US, done + 2 * US)
        self.trace.wait(begun, self.now, api_name="cudaEventSynchronize_v3020",
                        sync_type=SyncType.EVENT, thread=self.thread)  # fmt: skip
        self.now += 2 * US

    def step(self, number: int, body: Callable[[], None]) -> None:
        begun = self.now
        self.now += 10 * US
        body()
        self.now += 5 * US
        if self.ranges:
            self.trace.nvtx(begun, self.now, f"Step {number}", thread=self.thread)
        self.now += 30 * US


def forward(host: Host, layers: int = 6, stream: int = 7, variant: str = "") -> None:
    """Embedding, layers, head and argmax; `variant` names the matrix kernels of another shape."""
    for name in ("embedding", "position", "add", *LAYER * layers, "layer_norm", "gemm_head",
                 "argmax", "cat"):  # fmt: skip
        host.kernel(name + (variant if name.startswith("gemm") else ""), stream)


Strategy = Callable[[Host, int], None]


def no_cache(host: Host, step: int) -> None:
    """Matrix kernels change with the length, some lengths split one in two."""
    forward(host, variant=f"_{step // 3}")
    if step % 5 == 2:
        host.kernel("split_k_reduce")
    host.kernel("any")
    host.item()


def kv_cache(host: Host, step: int) -> None:
    forward(host)
    host.kernel("any")
    host.item()


def growing_cache(host: Host, step: int) -> None:
    """The cache's buffer is doubled now and then: operations that other steps do not have."""
    if step in (3, 4, 6, 11):
        host.kernel("cat_grow")
        host.kernel("copy_grow")
    kv_cache(host, step)


def never(host: Host, step: int) -> None:
    forward(host)


def every_8(host: Host, step: int) -> None:
    forward(host)
    if step % 8 == 7:
        host.kernel("any")
        host.item()


class Deferred:
    """The flag of a step is read one step later; on two streams, hulls of steps overlap."""

    def __init__(self, streams: Sequence[int]) -> None:
        self.streams = streams
        self.done: int | None = None

    def __call__(self, host: Host, step: int) -> None:
        stream = self.streams[step % len(self.streams)]
        forward(host, stream=stream)
        host.kernel("any", stream)
        host.copy_flag(stream)
        done, self.done = self.done, host.last_copy
        if done is not None:
            host.wait_event(done)


def training(host: Host, step: int) -> None:
    host.upload()
    forward(host)
    for name in LAYER[::-1] * 6:
        host.kernel(f"{name}_backward")
    for _ in range(4):
        host.kernel("adam")
    if step % 4 == 3:
        host.item()


def recorded(
    strategy: Strategy,
    steps: int = 20,
    *,
    first: int = 30,
    prologue: Callable[[Host], None] = lambda host: None,
    epilogue: Callable[[Host], None] = lambda host: None,
) -> Host:
    host = Host()
    prologue(host)
    for number in range(first, first + steps):
        host.step(number, lambda number=number: strategy(host, number))  # type: ignore[misc]
    epilogue(host)
    return host


def opened(trace: TraceBuilder, folder: Path) -> Trace:
    path = folder / "loop.sqlite"
    trace.write(path, force=True)
    return open_trace(path)


def without_ranges(trace: Trace) -> Trace:
    """The same trace as if nobody had annotated it."""
    return replace(trace, ranges=_rows(trace.ranges, np.empty(0, np.int64)))


def cut(trace: Trace, low: int, high: int) -> tuple[Trace, np.ndarray]:
    """What a recording from `low` to `high` would hold, by the launches' times; and its rows."""
    calls, operations = trace.calls, trace.operations
    inside = (calls.start >= low) & (calls.start < high)
    place = np.where(inside, np.cumsum(inside) - 1, -1)
    rows = np.flatnonzero((operations.launch >= 0) & inside[operations.launch])
    kept = replace(_rows(operations, rows), launch=place[operations.launch[rows]])
    waits = _rows(trace.synchronizations, np.empty(0, np.int64))
    return replace(
        without_ranges(trace),
        operations=kept,
        calls=_rows(calls, np.flatnonzero(inside)),
        synchronizations=waits,
    ), rows


def _rows(table: Any, rows: np.ndarray) -> Any:
    columns = asdict(table).items()
    return replace(table, **{k: v[rows] for k, v in columns if isinstance(v, np.ndarray)})


def exact(
    inferred: InferredSteps, truth: StepSeries, rows: np.ndarray | slice = slice(None)
) -> list[int]:
    """True steps (by position) that were found, each to the operation; asserts there is no other.

    What must agree is which operations belong together, over all streams and threads. `rows` are
    those of the trace that `truth` is about which the inferred steps' trace holds.
    """
    found = []
    step_of = truth.step_of[rows]
    for k in range(len(inferred.series)):
        mine = np.flatnonzero(inferred.series.step_of == k)
        owners = np.unique(step_of[mine])
        assert len(owners) == 1, f"inferred step {k} holds operations of steps {owners.tolist()}"
        assert owners[0] >= 0
        assert np.array_equal(mine, np.flatnonzero(step_of == owners[0]))
        found.append(int(owners[0]))
    return found


def shuffled(count: int, alphabet: int, seed: int) -> np.ndarray:
    rng = random.Random(seed)
    return np.array([rng.randrange(alphabet) for _ in range(count)], np.int64)
