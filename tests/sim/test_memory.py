"""The caching allocator's rules, by hand, and what no sequence may break."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.simgpu.memory import MIB, CachingAllocator


def test_small_blocks_share_a_segment():
    memory = CachingAllocator()
    assert memory.allocate(1, 7)[1] == 1
    assert memory.allocate(513, 7)[1] == 0
    assert memory.allocated == 512 + 1024
    assert memory.reserved == 2 * MIB


@pytest.mark.parametrize(
    ("size", "reserved"),
    [(MIB, 2 * MIB), (MIB + 1, 20 * MIB), (10 * MIB, 10 * MIB), (11 * MIB + 1, 12 * MIB)],
)
def test_segments_by_size(size, reserved):
    memory = CachingAllocator()
    memory.allocate(size, 7)
    assert memory.reserved == reserved


def test_a_freed_block_is_given_out_again_on_its_stream_only():
    memory = CachingAllocator()
    block, _ = memory.allocate(12 * MIB, 7)
    memory.release(block)
    assert memory.allocate(12 * MIB, 7)[1] == 0
    assert memory.allocate(12 * MIB, 13)[1] == 1
    assert memory.reserved == 24 * MIB


def test_free_neighbours_melt():
    memory = CachingAllocator()
    first, _ = memory.allocate(6 * MIB, 7)
    second, calls = memory.allocate(6 * MIB, 7)
    assert calls == 0  # both lie in one segment of 20 MiB
    memory.release(first)
    memory.release(second)
    assert memory.allocate(9 * MIB, 7)[1] == 0
    assert memory.reserved == 20 * MIB


def test_a_growing_tensor_needs_ever_new_segments():
    # As a cache grows by a concatenation a step: the new one is there before the old one goes.
    memory = CachingAllocator()
    held, _ = memory.allocate(12 * MIB, 7)
    calls = 0
    for step in range(1, 20):
        fresh, took = memory.allocate(12 * MIB + step * MIB, 7)
        memory.release(held)
        held, calls = fresh, calls + took
    assert calls > 5


def test_expandable_segments_map_pages_and_waste_less():
    plain, growing = CachingAllocator(), CachingAllocator(expandable=True)
    for memory in (plain, growing):
        held, _ = memory.allocate(12 * MIB, 7)
        for step in range(1, 40):
            fresh, _ = memory.allocate(12 * MIB + step * MIB, 7)
            memory.release(held)
            held = fresh
    assert growing.peak_reserved < plain.peak_reserved
    assert growing.driver_calls < plain.driver_calls


def test_a_full_device_gets_its_free_segments_back():
    memory = CachingAllocator(limit=40 * MIB)
    first, _ = memory.allocate(20 * MIB, 7)
    memory.release(first)
    second, calls = memory.allocate(30 * MIB, 7)
    assert (calls, memory.driver_frees, memory.reserved) == (1, 1, 30 * MIB)
    with pytest.raises(MemoryError):
        memory.allocate(20 * MIB, 7)
    assert second.size == 30 * MIB


@given(
    st.lists(
        st.tuples(st.integers(1, 30 * MIB), st.sampled_from([7, 13]), st.booleans()), max_size=60
    ),
    st.booleans(),
)
def test_blocks_never_overlap_and_nothing_is_lost(requests, expandable):
    memory = CachingAllocator(expandable=expandable)
    held = []
    for size, stream, drop in requests:
        block, _ = memory.allocate(size, stream)
        assert block.size >= size
        held.append(block)
        if drop:
            memory.release(held.pop(len(held) // 2))
        assert memory.allocated == sum(b.size for b in held)
        assert memory.allocated <= memory.reserved
        for one in held:
            assert not one.free
            if one.after is not None:
                assert one.start + one.size == one.after.start
    while held:
        memory.release(held.pop())
    assert memory.allocated == 0
    free = sum(b.size for pool in memory._pools.values() for b in pool.blocks.values())
    assert free == memory.reserved


def test_a_full_device_gets_its_free_pages_back():
    memory = CachingAllocator(expandable=True, limit=60 * MIB)
    first, _ = memory.allocate(30 * MIB, 7)
    memory.release(first)
    _, calls = memory.allocate(50 * MIB, 13)  # three pages; the 40 MiB of the other stream go
    assert (calls, memory.driver_frees, memory.reserved) == (3, 1, 60 * MIB)
    with pytest.raises(MemoryError):
        memory.allocate(5 * MIB, 7)


def test_expandable_segments_split_off_whatever_is_left():
    plain, growing = CachingAllocator(), CachingAllocator(expandable=True)
    sizes = {}
    for memory in (plain, growing):
        memory.allocate(19 * MIB + MIB // 2, 7)
        sizes[memory.expandable] = memory.allocated
    # 20 MiB are taken from the driver; half a MiB is not worth splitting off a large segment.
    assert sizes == {False: 20 * MIB, True: 19 * MIB + MIB // 2}
