"""A simulated GPU with its driver: takes operations, moves the clocks. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ..analysis.gains.gpu import Gpu
from ..analysis.gains.log import Log
from ..analysis.gains.machine import Machine
from ..analysis.gains.work import COPY, TO_HOST, Span, Work
from .costs import ALLOCATE, FREE, KERNEL, READ, VIEW, Op, duration_ns, fused
from .errors import OutOfGpuMemory, ReadsTheDevice
from .memory import Block, CachingAllocator

DEFAULT_STREAM = 7
"""What nsys calls the default stream of a CUDA context."""

EAGER, FUSED, CAPTURED, SILENT = "eager", "fused", "captured", "silent"
_MEMCPY = "cudaMemcpyAsync_v3020"
_MALLOC = "cudaMalloc_v3020", "malloc_ns"


@dataclass(frozen=True)
class Race:
    """The host read a flag before its copy had landed.

    `slot` is which flag, `step` the step whose check read it, `copied_in` the step that queued the
    copy, `early_ns` how much later the copy landed, `wrong` whether the value differed.
    """

    slot: int
    step: int
    copied_in: int
    early_ns: int
    wrong: bool

    def __str__(self) -> str:
        what = "and it was another value" if self.wrong else "the value happened to be the same"
        return (
            f"step {self.step} read flag {self.slot} {self.early_ns / 1e3:.1f} µs before the copy "
            f"of step {self.copied_in} landed, {what}"
        )


class SimDevice:
    """One GPU, the host that feeds it, and how operations are launched at the moment.

    `mode`: eager launches each operation; fused collects a compiled region; captured collects the
    nodes of a graph; silent moves no clock at all.
    """

    def __init__(self, gpu: Gpu, *, expandable: bool = False) -> None:
        self.gpu = gpu
        self._host = {key: round(value) for (at, key), value in gpu.values.items() if at == "host"}
        self._durations: dict[tuple[object, ...], int] = {}
        self.machine = Machine(gpu.timing, log=Log())
        self.stream = DEFAULT_STREAM
        self.mode = EAGER
        self.whole_graphs = False
        self.priming = False
        """Only memory is followed: warming up, whose times nobody asks for."""
        self.step_ops: list[Op] = []
        self.last_step: tuple[Op, ...] = ()
        self.memory = CachingAllocator(expandable=expandable, limit=gpu.values["memory", "bytes"])
        self._weight_bytes = 0
        self._blocks: dict[tuple[int, int], Block] = {}
        self._sizes: dict[tuple[int, int], int] = {}
        self._pending: dict[tuple[int, int], int] = {}
        self._left_over: list[tuple[int, Block]] = []
        self._collected: list[Op] = []
        self._graphs = 0
        self._streams = 0

    def host_ns(self, key: str) -> int:
        """A host constant."""
        return self._host[key]

    @property
    def now(self) -> int:
        """The host's clock."""
        return self.machine.now

    @property
    def weight_bytes(self) -> int:
        """What the model's weights take of the device's memory."""
        return self._weight_bytes

    @weight_bytes.setter
    def weight_bytes(self, size: int) -> None:
        self._weight_bytes = size
        self.memory.limit = self.gpu.values["memory", "bytes"] - size

    def new_stream(self) -> int:
        """Its streamId; nsys numbers them upwards from 13 in steps that vary, here of 4."""
        self._streams += 1
        return 9 + 4 * self._streams

    # Operations

    def take(self, op: Op, space: int = 0) -> None:
        """One operation of the model or the loop; tensors are numbered within their `space`."""
        if op.kind in (ALLOCATE, FREE):
            self._tensor(op, space)
            return
        if self.mode == SILENT or (self.priming and self.mode == EAGER):
            return
        if op.kind != READ:
            self.step_ops.append(op)
        if self.mode == EAGER:
            self._eager(op)
        elif op.kind != READ:
            self._collected.append(op)
        else:
            if self.mode == CAPTURED:
                raise ReadsTheDevice(
                    "the step reads a value of the device, which a CUDA graph cannot hold"
                )
            # PyTorch breaks a compiled region where it reads the device.
            self._flush()
            self.read()

    # Memory

    def _tensor(self, op: Op, space: int) -> None:
        """A tensor comes or goes. What a graph or a compiled region makes and drops inside itself
        has memory of its own, taken before; what leaves the region is allocated at its end."""
        if op.kind == FREE:
            ((number, size),) = op.reads
            block = self._blocks.pop((space, number), None)
            self._sizes.pop((space, number), None)
            if block is None and self._pending.pop((space, number), None) is None and space:
                block = self._of_an_earlier_pass(size)
            if block is not None:
                self.memory.release(block)
            return
        ((number, size),) = op.writes
        if self.mode == EAGER:
            self._hold((space, number), size)
        elif self.mode == FUSED:
            self._pending[space, number] = size

    def _hold(self, tensor: tuple[int, int], size: int) -> None:
        self._blocks[tensor] = self._allocate(size)
        self._sizes[tensor] = size

    def _allocate(self, size: int) -> Block:
        memory, freed = self.memory, self.memory.driver_frees
        try:
            block, calls = memory.allocate(size, self.stream)
        except MemoryError:
            raise OutOfGpuMemory(
                f"out of memory: {(memory.allocated + size) / 1e9:.1f} GB are needed beside "
                f"{self.weight_bytes / 1e9:.1f} GB of weights, {self.gpu.name} has "
                f"{self.gpu.values['memory', 'bytes'] / 1e9:.0f} GB"
            ) from None
        if memory.driver_frees > freed:
            self.synchronize()  # cudaFree waits for the device
        for _ in range(memory.driver_frees - freed):
            self.machine.call("cudaFree_v3020", self.host_ns("malloc_ns"))
        api, key = ("cuMemMap", "map_ns") if memory.expandable else _MALLOC
        for _ in range(calls):
            self.machine.call(api, self.host_ns(key))
        return block

    def _of_an_earlier_pass(self, size: int) -> Block | None:
        """The oldest block of that size that an earlier forward pass left behind: its cache."""
        for place, (kept, block) in enumerate(self._left_over):
            if kept == size:
                del self._left_over[place]
                return block
        return None

    def next_pass(self, space: int, *, fresh: bool = False) -> None:
        """Tensors of `space` are numbered anew; what is alive stays until a later pass drops it.
        `fresh`: the cache that held it is gone, and so is all of it."""
        mine = [key for key in self._blocks if key[0] == space]
        self._left_over += [(self._sizes.pop(key), self._blocks.pop(key)) for key in mine]
        if fresh:
            for _, block in self._left_over:
                self.memory.release(block)
            self._left_over.clear()

    def _eager(self, op: Op) -> None:
        if op.kind == VIEW:
            self.machine.spend(self.host_ns("view_op_ns"))
        elif op.kind == READ:
            self.read()
        else:
            self.machine.spend(self.host_ns("op_ns"))
            self._launch(op, "cudaLaunchKernel_v7000")

    def _launch(self, op: Op, api: str) -> Span:
        call = self.host_ns("launch_call_ns")
        return self.machine.launch(self.work(op), self.stream, call, api=api)

    def work(self, op: Op) -> Work:
        """The operation as the machine runs it."""
        key = (op.work, op.dtype, op.rows == 1, op.flops, op.size)
        found = self._durations.get(key)
        if found is None:
            found = self._durations[key] = duration_ns(op, self.gpu)
        return Work(op.name, found)

    # Compiled regions and graphs

    @contextmanager
    def compiled(self) -> Iterator[None]:
        """What is taken inside is one compiled region: fused, and launched by generated code."""
        if self.mode != EAGER:
            yield  # inside a capture the nodes are what counts; a region in a region is one
            return
        self.machine.spend(self.host_ns("compiled_entry_ns"))
        self.mode, self._collected = FUSED, []
        try:
            yield
            self._flush()
            for tensor, size in self._pending.items():
                self._hold(tensor, size)
        finally:
            self.mode, self._collected = EAGER, []
            self._pending.clear()

    def _flush(self) -> None:
        for op in fused(tuple(self._collected)):
            self.machine.spend(self.host_ns("compiled_kernel_ns"))
            self._launch(op, "cuLaunchKernel")
        self._collected = []

    def capture(self, step: object) -> tuple[int, tuple[Work, ...]]:
        """Run `step()` and keep its kernels as a graph: its id and its nodes. Moves no clock."""
        assert callable(step)
        outer, self.mode = self.mode, CAPTURED
        kept, self._collected = self._collected, []
        try:
            step()
            nodes = tuple(self.work(op) for op in self._collected if op.kind == KERNEL)
        finally:
            self.mode, self._collected = outer, kept
        self._graphs += 1
        return self._graphs, nodes

    def replay(self, graph: int, nodes: tuple[Work, ...]) -> None:
        """Launch a graph."""
        call = self.host_ns("graph_launch_ns") + self.host_ns("graph_node_ns") * len(nodes)
        self.machine.submit(
            nodes, self.stream, call, api="cudaGraphLaunch_v10000", graph=graph,
            whole=self.whole_graphs,
        )  # fmt: skip

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Nothing inside moves a clock."""
        outer, self.mode = self.mode, SILENT
        try:
            yield
        finally:
            self.mode = outer

    # Copies and waits

    def copy_to_host(self, size: int, name: str = "flag") -> Span:
        """Queue a copy to page-locked memory; the host goes on. Where it lands is its end."""
        self.step_ops.append(Op("aten::copy_", KERNEL))
        self.machine.spend(self.host_ns("op_ns"))
        return self._copy(size, name)

    def _copy(self, size: int, name: str) -> Span:
        took = self.gpu.ns("kernels", "copy_ns") + round(
            size * 10**9 / self.gpu.values["link", "to_host_bytes_per_s"]
        )
        work = Work(name, took, COPY, TO_HOST, size)
        return self.machine.launch(work, self.stream, self.host_ns("copy_call_ns"), api=_MEMCPY)

    def read(self, size: int = 1) -> None:
        """Read a value of the device: a copy, and a wait for all that stands before it."""
        self.step_ops.append(Op("aten::item", READ))
        self.machine.spend(self.host_ns("view_op_ns"))
        landed = self._copy(size, "value")
        self.machine.synchronize(
            landed.end, self.host_ns("stream_sync_ns"), api="cudaStreamSynchronize_v3020",
            stream=self.stream,
        )  # fmt: skip

    def synchronize(self) -> None:
        """Wait for everything."""
        self.machine.synchronize(
            self.machine.drained(), self.host_ns("device_sync_ns"),
            api="cudaDeviceSynchronize_v3020", kind="device", stream=self.stream,
        )  # fmt: skip

    def record_event(self, stream: int | None = None) -> int:
        """Place an event on a stream (default: the current one); when it passes."""
        return self.machine.record(
            self.stream if stream is None else stream, self.host_ns("event_record_ns")
        )

    def wait_event(self, passes: int) -> None:
        """Hold the host until an event has passed."""
        self.machine.synchronize(
            passes, self.host_ns("event_wait_ns"), api="cudaEventSynchronize_v3020", kind="event",
            stream=self.stream,
        )  # fmt: skip

    def query_event(self, passes: int) -> bool:
        """Whether an event has passed by now."""
        self.machine.call("cudaEventQuery_v3020", self.host_ns("event_query_ns"))
        return passes <= self.now

    def hold_stream(self, stream: int, passes: int) -> None:
        """Make a stream wait for an event."""
        self.machine.hold(stream, passes, self.host_ns("stream_wait_ns"))
