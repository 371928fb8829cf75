"""Work spread over processes: in any order, bounded, and whole when a process dies or ^C comes.

loky was tried in place of this (3.7, a third of the lines). Left early, by ^C too, it left a thread
and a process behind; and each of its processes imports everything anew: four had done their work
after 6 s where these had after 2.
"""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import connection, forkserver, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from types import ModuleType
from typing import TypeVar

from msgspec import Struct

from . import background
from .pool_server import safe_path

T = TypeVar("T")
R = TypeVar("R")

_PRELOADED = [
    "harness.run.pool_server",
    "harness.run.task",
    "harness.analysis.analyze",
    "harness.analysis.reports.slim",
    "adbc_driver_sqlite",
]
"""What the server of new processes imports once, so that each starts in milliseconds."""


def spread(
    work: Callable[[T], R], items: Sequence[T], processes: int, lost: Callable[[T], R]
) -> Generator[tuple[int, R], None, None]:
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


class _Worker(Struct):
    """A process that does one item after another, and our end of the pipe to it.

    A pipe each, where `ProcessPoolExecutor` has one for all: a process that dies while it writes
    leaves the others and us waiting there, for a lock that it held and for bytes that never come.
    """

    process: BaseProcess
    pipe: Connection

    @classmethod
    def started(cls, work: Callable[[T], R], processes: int) -> _Worker:
        """A new one. Raises OSError where none can be started."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(_PRELOADED)
        for _ in range(3):
            _start_server()
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, work, processes), daemon=True)
            try:
                with theirs:  # the process alone holds its end: its death is our end of file
                    process.start()
                return cls(process, ours)
            except (EOFError, ConnectionError):  # the server died, and the next one may not
                ours.close()
                time.sleep(0.1)  # until the system knows of the death, and a new one is started
        raise OSError(errno.ECHILD, "what starts the processes that share the work was killed")

    def end(self) -> None:
        """Over and gone, whatever it does."""
        self.pipe.close()
        self.process.kill()
        self.process.join()


def _until_one_dies(
    work: Callable[[T], R], todo: deque[tuple[int, T]], processes: int
) -> Generator[tuple[int, R], None, list[tuple[int, T]]]:
    """Do what is to do; gives back what was in work when a process died, if one did."""
    idle: list[_Worker] = []
    busy: dict[Connection, tuple[_Worker, tuple[int, T]]] = {}
    try:
        while todo or busy:
            while todo and len(busy) < processes:
                with _later(), _no_main(), safe_path():
                    worker = idle.pop() if idle else _Worker.started(work, processes)
                    busy[worker.pipe] = worker, todo.popleft()
                with suppress(OSError):  # it is dead: its end of file tells below
                    worker.pipe.send(busy[worker.pipe][1][1])
            died = False
            for pipe in connection.wait(list(busy)):
                assert isinstance(pipe, Connection)  # of `busy`
                try:
                    result, error = pipe.recv()
                except (EOFError, OSError):
                    died = True
                    continue
                with _later():
                    worker, (position, _) = busy.pop(pipe)
                    idle.append(worker)
                if error is not None:
                    raise error
                yield position, result
            if died:
                return [item for _, item in busy.values()]
        for worker in idle:
            worker.pipe.close()
        for worker in idle:  # it may still be keeping what it found; ^C ends that too
            worker.process.join()
    finally:
        with _later():
            for worker in [*idle, *(worker for worker, _ in busy.values())]:
                worker.end()
    return []


def _serve(pipe: Connection, work: Callable[[T], R], processes: int) -> None:
    """What a process does: item by item, until the parent closes its end or is gone."""
    _begin(processes)
    with suppress(EOFError, OSError):
        while True:
            item = pipe.recv()
            try:
                answer = ForkingPickler.dumps((work(item), None))
            except Exception as error:
                answer = ForkingPickler.dumps((None, error))
            pipe.send_bytes(answer)
    background.finish()


def _start_server() -> None:
    """Start what starts the processes deaf to ^C, and they are so from their first moment on.

    ^C goes to all processes of a terminal: the parent's word counts, and it kills them. Blocked,
    not ignored: what comes meanwhile still comes to us, afterwards.
    """
    resource_tracker.ensure_running()  # the server starts it too, and it unblocks ^C
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _no_main() -> Iterator[None]:
    """Processes started meanwhile do not run the program again that started them, which they would
    where it does not look at its own `__name__` (a wrapper of two lines, for example)."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextmanager
def _later() -> Iterator[None]:
    """^C waits until the end of the block: a process half started is one that nobody can kill."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        signal.raise_signal(signal.SIGINT)


def _begin(processes: int) -> None:
    """What every process does first."""
    from ..analysis.model.cores import share, usable
    from ..analysis.model.memory import reuse_freed_memory

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
