"""Work spread over processes survives their death, and leaves none behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from multiprocessing import forkserver
from pathlib import Path

import pytest

from harness.run.pool import spread

from .work import die_on_seven, die_once, die_writing, double, fail, linger, lost, nap


def test_every_item_comes_back_with_its_place() -> None:
    assert sorted(spread(double, range(20), 3, lost)) == [(k, 2 * k) for k in range(20)]


def test_an_item_that_kills_its_process_is_lost_alone() -> None:
    found = dict(spread(die_on_seven, range(12), 3, lost))
    assert found == {k: k for k in range(12)} | {7: "lost 7"}


def test_an_item_that_killed_once_is_done_again(tmp_path: Path) -> None:
    folders = [str(tmp_path / name) for name in "ab"]
    for folder in folders:
        Path(folder).mkdir()
    (tmp_path / "b" / "first").touch()  # this one only stands beside the other
    assert dict(spread(die_once, folders, 2, lost)) == dict(enumerate(folders))


def test_a_death_amid_a_result_holds_nobody_up() -> None:
    delays = [0.03, 0.06, 0.09, 0.12]
    found = dict(spread(die_writing, delays, 2, lost))
    # A quick machine may be done before the death comes.
    assert all(found[k] in (f"lost {delay}", bytes(200_000_000)) for k, delay in enumerate(delays))


def test_an_error_comes_through_as_itself() -> None:
    with pytest.raises(ZeroDivisionError):
        list(spread(fail, [1, 2], 2, lost))


def test_leaving_early_leaves_no_process_and_no_thread() -> None:
    before, threads = set(multiprocessing.active_children()), set(threading.enumerate())
    results = spread(nap, [0.0, 600.0, 600.0], 3, lost)
    assert next(results) == (0, 0.0)
    started = time.monotonic()
    results.close()
    # A thread left behind closes a pipe that the interpreter writes to as it ends: a traceback.
    assert set(threading.enumerate()) <= threads
    while set(multiprocessing.active_children()) - before:
        assert time.monotonic() - started < 30
        time.sleep(0.05)


def test_an_interrupt_as_the_first_process_starts_is_not_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start = forkserver.ensure_running

    def interrupted() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        start()

    monkeypatch.setattr(forkserver, "ensure_running", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(spread(double, [1, 2], 2, lost))
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_an_interrupt_ends_a_process_that_has_something_left_to_do() -> None:
    before = set(multiprocessing.active_children())
    results = spread(linger, [600.0], 1, lost)
    assert next(results) == (0, 600.0)
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        next(results)
    assert set(multiprocessing.active_children()) <= before


def test_a_server_that_dies_as_it_starts_a_process_gives_way_to_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start, deaths = forkserver.ensure_running, [1]

    def dead() -> None:
        start()
        if deaths:
            deaths.clear()
            server = forkserver._forkserver._forkserver_pid
            os.kill(server, signal.SIGSTOP)  # it takes the request, and nothing comes of it
            threading.Timer(0.2, os.kill, (server, signal.SIGKILL)).start()

    monkeypatch.setattr(forkserver, "ensure_running", dead)
    assert sorted(spread(double, range(4), 2, lost)) == [(k, 2 * k) for k in range(4)]


def test_a_server_that_always_dies_is_an_error_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def dead(process: object) -> None:
        raise EOFError  # which click takes for ^C

    monkeypatch.setattr("multiprocessing.context.ForkServerProcess.start", dead)
    with pytest.raises(OSError, match="what starts the processes that share the work was killed"):
        list(spread(double, range(4), 2, lost))
