"""Our threads that work on when the answer is out: a process waits for these before it ends.

For other threads than daemons Python itself waits, whoever started them, and answers ^C meanwhile
with a traceback. So ours are daemons.
"""

from __future__ import annotations

import atexit
import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator

_HELD_UP_S = 2.0
_LISTENS_EVERY_S = 0.05
# Each with its end: Thread.join believes a thread over once ^C came while it waited (Python 3.11).
_ours: dict[threading.Thread, threading.Event] = {}


def begin(work: Callable[[], None]) -> None:
    """Do this in a thread."""

    def run() -> None:
        try:
            work()
        finally:
            _ours.pop(thread, None)
            over.set()

    over = threading.Event()
    thread = threading.Thread(target=run, name=f"harness: {work.__qualname__}", daemon=True)
    _ours[thread] = over
    thread.start()


def finish() -> None:
    """Wait until all have done their work; an interrupt gives up what they have not."""
    try:
        for over in list(_ours.values()):
            over.wait()
    except BaseException:
        give_up()
        raise


@atexit.register
def _at_exit() -> None:
    """`finish`, where Python would answer ^C with a traceback: the command has had its end."""
    asked: list[int] = []  # an Event's lock would be waited for by a handler within a handler
    heard = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is threading.main_thread() and heard is not signal.SIG_IGN:
        # From here on none is raised, not even by one that follows on the heels of another.
        signal.signal(signal.SIGINT, lambda number, _: asked.append(number))
    while _ours and not asked:
        for over in list(_ours.values()):
            over.wait(_LISTENS_EVERY_S)
    if asked:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # one more would end Python's last moments
        give_up()


def give_up() -> None:
    """Have them end at their next step, and wait for that; not for one that the system holds up.

    Python ends a daemon in the midst of a library's work, which can abort the whole process.
    """
    with _deaf():  # it ends no sooner
        until = time.monotonic() + _HELD_UP_S
        given_up = list(_ours.items())
        for thread, _ in given_up:
            _end(thread)
        for _, over in given_up:
            over.wait(max(0.0, until - time.monotonic()))
        _ours.clear()


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """No interrupt meanwhile; Python lets the main thread alone decide that."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        if before is not None:  # None: a handler that Python did not install
            signal.signal(signal.SIGINT, before)


def _end(thread: threading.Thread) -> None:
    import ctypes

    ended = ctypes.py_object(SystemExit)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ended)
