"""Let freed arrays be used again, instead of giving their pages back and faulting in new ones."""

from __future__ import annotations

import ctypes
import mmap
from contextlib import suppress

import numpy as np

from .intervals import Int64

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -2, -4, -8
_HUGE = 2 << 20
_HEAP = 1 << 30


def reuse_freed_memory() -> bool:
    """Keep large blocks in glibc's heap; False where the C library is another one.

    Every temporary of a million rows is 8 MB: by default each is mapped, zeroed page by page by the
    kernel, and unmapped again, which took a third of the analysis of a trace of that size.
    """
    try:
        library = ctypes.CDLL(None)
        mallopt = library.mallopt
    except (OSError, AttributeError):
        return False
    settings = (
        (_M_ARENA_MAX, 1),  # what one thread read, another may reuse
        (_M_MMAP_MAX, 0),
        (_M_TRIM_THRESHOLD, 2**31 - 1),
        (_M_TOP_PAD, 64 << 20),
    )
    if not all(mallopt(name, value) == 1 for name, value in settings):
        return False
    _ask_for_huge_pages(library)
    return True


def lazy_zeros(rows: int, columns: int) -> Int64:
    """Zeros of shape (rows, columns); rows that are never written take no memory."""
    size = rows * columns * 8
    if size < _HUGE:
        return np.zeros((rows, columns), np.int64)
    pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):
            pages.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(pages, np.int64).reshape(rows, columns)


def _ask_for_huge_pages(library: ctypes.CDLL) -> None:
    """Have the heap's pages come 2 MiB at a time, where the kernel grants that on request.

    The heap is stretched once, untouched, so that one request covers all that it will hold.
    """
    library.malloc.restype = ctypes.c_void_p
    library.malloc.argtypes = [ctypes.c_size_t]
    library.free.argtypes = [ctypes.c_void_p]
    library.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    block = library.malloc(_HEAP)
    if block:
        first = -(-block // _HUGE) * _HUGE
        library.madvise(first, (block + _HEAP - first) // _HUGE * _HUGE, mmap.MADV_HUGEPAGE)
        library.free(block)
