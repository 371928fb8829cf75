"""What one ATen operation asks of a GPU, from its shapes alone, and how long a GPU takes for it.

A roofline with a fixed part: class minimum + max(FLOPs / rate, bytes / bandwidth), in whole ns.
Imports no torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..analysis.gains.gpu import Gpu

VIEW, KERNEL, READ = "view", "kernel", "read"
"""Costs host time only; runs on the device; brings one value to the host and waits for it."""

ALLOCATE, FREE = "allocate", "free"
"""A tensor comes into being (`writes`), or is gone (`reads`): nothing runs."""

ELEMENTWISE, REDUCTION, MATMUL, ATTENTION = "elementwise", "reduction", "matmul", "attention"


@dataclass(frozen=True, slots=True)
class Op:
    """One operation. `rows` is a product's left height; `reads` and `writes` are (tensor, bytes).

    Tensors are numbered within one recording: the same number is the same memory.
    """

    name: str
    kind: str
    work: str = ELEMENTWISE
    flops: int = 0
    rows: int = 0
    dtype: str = "float32"
    reads: tuple[tuple[int, int], ...] = ()
    writes: tuple[tuple[int, int], ...] = ()

    @property
    def size(self) -> int:
        """Bytes moved."""
        return sum(size for _, size in self.reads) + sum(size for _, size in self.writes)


def minimum_ns(op: Op, gpu: Gpu) -> int:
    """The fixed part of its time."""
    if op.work == MATMUL:
        if op.dtype in ("bfloat16", "float16"):
            return gpu.ns("kernels", "matmul_half_ns")
        return gpu.ns("kernels", "matvec_float32_ns" if op.rows == 1 else "matmul_float32_ns")
    return gpu.ns("kernels", f"{op.work}_ns")


def duration_ns(op: Op, gpu: Gpu) -> int:
    """How long it runs on `gpu`, at least 1 ns."""
    dtype = op.dtype if op.dtype in ("bfloat16", "float16") else "float32"
    by_compute = op.flops * 10**9 / gpu.rate(dtype)
    by_memory = op.size * 10**9 / gpu.bandwidth
    return max(1, minimum_ns(op, gpu) + round(max(by_compute, by_memory)))


def floor_ns(ops: tuple[Op, ...], gpu: Gpu) -> float:
    """The bandwidth floor of a step, ns: what must be read once, at the data sheet's rate.

    What one operation writes and another reads could stay on the chip: only tensors that were there
    before are counted, and what nothing reads again.
    """
    return floor_bytes(ops) * 1e9 / gpu.nominal_bandwidth


def floor_bytes(ops: tuple[Op, ...]) -> int:
    """Bytes that come from outside the operations, each tensor once, and those that stay."""
    made: dict[int, int] = {}
    outside: dict[int, int] = {}
    for op in ops:
        if op.kind != KERNEL:
            continue
        for tensor, size in op.reads:
            # Of a cache that one token was written into, the rest was there before.
            before = size - made.get(tensor, 0)
            if before > 0:
                outside[tensor] = max(outside.get(tensor, 0), before)
        for tensor, size in op.writes:
            made[tensor] = max(made.get(tensor, 0), size)
    return sum(outside.values())


def fused(ops: tuple[Op, ...]) -> tuple[Op, ...]:
    """What torch.compile is taken to make of them: see docs/simulator.md.

    Products, attention and reads stay as they are. Between them, elementwise operations and at most
    one reduction become one kernel, which reads what is made outside of it and writes what is read
    outside of it. What changes a tensor in place that was there before (a cache, its length) ends
    its kernel. Views vanish.
    """
    last_read: dict[int, int] = {}
    for place, op in enumerate(ops):
        if op.kind == KERNEL:
            last_read.update((tensor, place) for tensor, _ in op.reads)
    result: list[Op] = []
    group: list[tuple[int, Op]] = []

    def close() -> None:
        if group:
            result.append(_one_kernel(group, last_read))
            group.clear()

    for place, op in enumerate(ops):
        if op.kind in (VIEW, ALLOCATE, FREE):
            continue
        if op.kind == READ or op.work in (MATMUL, ATTENTION):
            close()
            result.append(op)
            continue
        if op.work == REDUCTION and any(other.work == REDUCTION for _, other in group):
            close()
        made = {tensor for _, other in group for tensor, _ in other.writes}
        group.append((place, op))
        if op.name.endswith("_") and any(tensor not in made for tensor, _ in op.writes):
            close()
    close()
    return tuple(result)


def _one_kernel(group: list[tuple[int, Op]], last_read: dict[int, int]) -> Op:
    made: dict[int, int] = {}
    reads: dict[int, int] = {}
    for _, op in group:
        for tensor, size in op.reads:
            if tensor not in made:
                reads[tensor] = max(reads.get(tensor, 0), size)
        for tensor, size in op.writes:
            made[tensor] = size
    end = group[-1][0]
    # What nothing reads afterwards within the step may still be a result: the last one is written.
    kept = {t: size for t, size in made.items() if last_read.get(t, -1) > end}
    if not kept and made:
        final = group[-1][1].writes
        kept = dict(final[-1:])
    names = list(dict.fromkeys(op.name.removeprefix("aten::") for _, op in group))
    work = REDUCTION if any(op.work == REDUCTION for _, op in group) else ELEMENTWISE
    return Op(
        name="fused_" + "_".join(names[:6]),
        kind=KERNEL,
        work=work,
        flops=sum(op.flops for _, op in group),
        dtype=group[-1][1].dtype,
        reads=tuple(reads.items()),
        writes=tuple(kept.items()),
    )
