"""Work spread over processes survives their death, and leaves none behind."""

from __future__ import annotations

import multiprocessing
import time
from pathlib import Path

from harness.pool import spread

from .work import die_on_seven, die_once, double, lost, nap


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


def test_leaving_early_leaves_no_process() -> None:
    before = set(multiprocessing.active_children())
    results = spread(nap, [0.0, 600.0, 600.0], 3, lost)
    assert next(results) == (0, 0.0)
    started = time.monotonic()
    results.close()
    while set(multiprocessing.active_children()) - before:
        assert time.monotonic() - started < 30
        time.sleep(0.05)
