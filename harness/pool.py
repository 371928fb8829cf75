"""Work spread over processes: in any order, bounded, and whole when a process dies or ^C comes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

_PRELOADED = ["harness.collect", "analysis.analyze", "analysis.reports.slim", "adbc_driver_sqlite"]
"""What the server of new processes imports once, so that each starts in milliseconds."""


def spread(
    work: Callable[[T], R], items: Sequence[T], processes: int, lost: Callable[[T], R]
) -> Iterator[tuple[int, R]]:
    """(position, result) of every item, as they come; never more in work than there are processes.

    `work` is a module's function that does not raise; items and results are pickled. Where a
    process dies, what was in work is done again, one by one, each in a process of its own with the
    machine to itself; where that dies too, `lost(item)` stands for its result. Leaving the iterator
    early, by ^C too, kills the processes.
    """
    todo = deque(enumerate(items))
    suspects: list[tuple[int, T]] = []
    while todo:
        suspects += yield from _until_one_dies(work, todo, min(processes, len(items)))
    for position, item in sorted(suspects, key=lambda pair: pair[0]):
        if (yield from _until_one_dies(work, deque([(position, item)]), 1)):
            yield position, lost(item)


def _until_one_dies(
    work: Callable[[T], R], todo: deque[tuple[int, T]], processes: int
) -> Iterator[tuple[int, R]]:
    """Do what is to do; gives back what was in work when a process died, if one did."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    others = set(multiprocessing.active_children())
    executor = ProcessPoolExecutor(processes, context, initializer=_begin, initargs=(processes,))
    flying: dict[Future[R], tuple[int, T]] = {}
    finished = False
    try:
        while todo or flying:
            while todo and len(flying) < processes:
                item = todo.popleft()
                try:
                    flying[executor.submit(work, item[1])] = item
                except BrokenProcessPool:
                    todo.appendleft(item)
                    break
            done, _ = wait(flying, return_when=FIRST_COMPLETED)
            broken = False
            for future in done:
                try:
                    result = future.result()
                except BrokenProcessPool:
                    broken = True
                    continue
                yield flying.pop(future)[0], result
            if broken:
                return list(flying.values())
        finished = True
    finally:
        if not finished:
            for child in set(multiprocessing.active_children()) - others:
                child.kill()
        executor.shutdown(wait=finished, cancel_futures=True)
    return []


def _begin(processes: int) -> None:
    """What every process does first."""
    from analysis.cores import share, usable
    from analysis.memory import reuse_freed_memory

    # ^C goes to all processes of a terminal: the parent's word counts, and it kills us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    share(usable() // processes)
    reuse_freed_memory()


def _end_with_parent() -> None:
    """A parent that was killed cannot end us: nobody wants what we are doing."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
