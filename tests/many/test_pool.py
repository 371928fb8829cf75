"""Work spread over processes survives their death, and leaves none behind."""

from __future__ import annotations

import multiprocessing
import threading
import time
from pathlib import Path

import pytest

from harness.pool import spread

from .work import die_on_seven, die_once, die_writing, double, fail, lost, nap


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
