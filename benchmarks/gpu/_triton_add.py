"""The smallest Triton kernel: Triton launches through the driver, not the runtime."""

import triton
import triton.language as tl


@triton.jit
def add_one(pointer, count, BLOCK: tl.constexpr = 64):
    place = tl.arange(0, BLOCK)
    tl.store(pointer + place, tl.load(pointer + place, place < count) + 1, place < count)
