"""PyTorch's caching allocator, by its published rules: when a tensor needs memory from the driver.

Sizes are rounded to 512 bytes. Blocks of up to 1 MiB come from segments of 2 MiB, larger ones from
segments of 20 MiB, from 10 MiB on from one of their own, rounded to 2 MiB. A block goes back to the
pool of the stream it was taken on and melts with its free neighbours; the smallest that fits is
given out, and split where what is left is worth it. Expandable segments: one segment a pool, which
grows by mapping pages. Where the device has no room, whole free segments go back to the driver and
it is tried once more. Imports no torch.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Hashable
from dataclasses import dataclass, field

MIB = 1 << 20
ROUND, SMALL, SMALL_SEGMENT = 512, MIB, 2 * MIB
MIDDLE, LARGE_SEGMENT, LARGE_ROUND = 10 * MIB, 20 * MIB, 2 * MIB


@dataclass(eq=False)
class Block:
    """A stretch of one segment."""

    pool: tuple[Hashable, bool]
    start: int
    size: int
    free: bool = False
    before: Block | None = None
    after: Block | None = None
    number: int = 0

    @property
    def key(self) -> tuple[int, int]:
        """Smallest first, then oldest."""
        return self.size, self.number


@dataclass
class _Pool:
    """Free blocks of one stream and one class of sizes; `last` is an expandable segment's."""

    free: list[tuple[int, int]] = field(default_factory=list)
    blocks: dict[tuple[int, int], Block] = field(default_factory=dict)
    last: Block | None = None


class CachingAllocator:
    """Blocks of one device of `limit` bytes; `driver_calls` and `driver_frees` count its calls."""

    def __init__(self, *, expandable: bool = False, limit: float = float("inf")) -> None:
        self.expandable = expandable
        self.limit = limit
        self.allocated = self.reserved = 0
        self.peak_allocated = self.peak_reserved = 0
        self.driver_calls = self.driver_frees = 0
        self._pools: dict[tuple[Hashable, bool], _Pool] = {}
        self._numbers = 0

    def allocate(self, size: int, stream: Hashable) -> tuple[Block, int]:
        """A block of at least `size` bytes, and how many calls of the driver that took.

        Raises MemoryError where the device has no room for it.
        """
        wanted = max(ROUND, -(-size // ROUND) * ROUND)
        name = (stream, wanted <= SMALL)
        pool = self._pools.setdefault(name, _Pool())
        block, calls = self._find(pool, wanted), 0
        if block is None:
            block, calls = self._grow(pool, name, wanted)
        self._split(pool, block, wanted)
        block.free = False
        self.allocated += block.size
        self.peak_allocated = max(self.peak_allocated, self.allocated)
        self.driver_calls += calls
        return block, calls

    def release(self, block: Block) -> None:
        """Give a block back; it stays reserved."""
        pool = self._pools[block.pool]
        self.allocated -= block.size
        for neighbour in (block.before, block.after):
            if neighbour is not None and neighbour.free:
                self._forget(pool, neighbour)
                self._melt(pool, block, neighbour)
        self._keep(pool, block)

    def _find(self, pool: _Pool, wanted: int) -> Block | None:
        place = bisect_left(pool.free, (wanted, 0))
        if place == len(pool.free):
            return None
        block = pool.blocks[pool.free[place]]
        self._forget(pool, block)
        return block

    def _grow(self, pool: _Pool, name: tuple[Hashable, bool], wanted: int) -> tuple[Block, int]:
        if self.expandable:
            return self._extend(pool, name, wanted)
        if wanted <= SMALL:
            size = SMALL_SEGMENT
        elif wanted < MIDDLE:
            size = LARGE_SEGMENT
        else:
            size = -(-wanted // LARGE_ROUND) * LARGE_ROUND
        if self.reserved + size > self.limit:
            self._give_back()
        self._reserve(size)
        return self._new(name, 0, size), 1

    def _extend(self, pool: _Pool, name: tuple[Hashable, bool], wanted: int) -> tuple[Block, int]:
        """Map pages behind the pool's last block, as many as are missing."""
        page = SMALL_SEGMENT if wanted <= SMALL else LARGE_SEGMENT
        pages = -(-(wanted - _free_at_end(pool)) // page)
        if self.reserved + pages * page > self.limit:
            self._give_back()
            pages = -(-(wanted - _free_at_end(pool)) // page)
        last = pool.last
        self._reserve(pages * page)
        start = 0 if last is None else last.start + last.size
        block = self._new(name, start, pages * page)
        if last is not None:
            last.after, block.before = block, last
            if last.free:
                self._forget(pool, last)
                self._melt(pool, block, last)
        pool.last = block
        return block, pages

    def _give_back(self) -> None:
        """Return every segment that is one free block."""
        for pool in self._pools.values():
            for block in list(pool.blocks.values()):
                if block.before is None and block.after is None:
                    self._forget(pool, block)
                    pool.last = None  # expandable segments: it was the pool's only one
                    self.reserved -= block.size
                    self.driver_frees += 1

    def _reserve(self, size: int) -> None:
        if self.reserved + size > self.limit:
            raise MemoryError
        self.reserved += size
        self.peak_reserved = max(self.peak_reserved, self.reserved)

    def _new(self, name: tuple[Hashable, bool], start: int, size: int) -> Block:
        self._numbers += 1
        return Block(name, start, size, number=self._numbers)

    def _split(self, pool: _Pool, block: Block, wanted: int) -> None:
        left = block.size - wanted
        worth = left >= ROUND if wanted <= SMALL or self.expandable else left > SMALL
        if not worth:
            return
        rest = self._new(block.pool, block.start + wanted, left)
        rest.before, rest.after = block, block.after
        if block.after is not None:
            block.after.before = rest
        block.after, block.size = rest, wanted
        if pool.last is block:
            pool.last = rest
        self._keep(pool, rest)

    def _melt(self, pool: _Pool, block: Block, other: Block) -> None:
        """Make `block` cover its neighbour `other` too."""
        if other is block.before:
            block.start, block.before = other.start, other.before
            if other.before is not None:
                other.before.after = block
        else:
            block.after = other.after
            if other.after is not None:
                other.after.before = block
        block.size += other.size
        if pool.last is other:
            pool.last = block

    def _keep(self, pool: _Pool, block: Block) -> None:
        block.free = True
        insort(pool.free, block.key)
        pool.blocks[block.key] = block

    def _forget(self, pool: _Pool, block: Block) -> None:
        pool.free.pop(bisect_left(pool.free, block.key))
        del pool.blocks[block.key]
        block.free = False


def _free_at_end(pool: _Pool) -> int:
    """Bytes of an expandable segment that are free behind all that is in use."""
    return pool.last.size if pool.last is not None and pool.last.free else 0
