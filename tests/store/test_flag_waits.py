"""A loop that waits for flags has the same figures from a store, however it is cut."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.analysis.idle.sizes import Sizes
from harness.analysis.model import flag_finder
from harness.analysis.model.cuda_calls import host_waits
from harness.analysis.model.flag_waits import FLAG
from harness.analysis.question import Question
from harness.analysis.readers.open import open_trace
from harness.analysis.writer.writer import TraceBuilder

from ..analysis.build import US
from ..analysis.test_flag_waits import flag_loop, on_two_gpus, with_another
from .test_build import check
from .test_chunks import chunked, stored, whole

QUESTIONS = (Question(), Question(steps=(3, 30)), Question(start=5_000 * US, end=9_100 * US))


@pytest.mark.parametrize("sizes", [Sizes(1, 1), Sizes(7, 3), Sizes(50, 1000)])
@pytest.mark.parametrize("loop", [flag_loop, on_two_gpus])
def test_any_cut_gives_the_same_figures(
    tmp_path: Path, loop: Callable[[], TraceBuilder], sizes: Sizes
) -> None:
    loop().write(tmp_path / "t.sqlite")
    trace = open_trace(tmp_path / "t.sqlite")
    store = stored(trace, tmp_path / "store")
    for question in QUESTIONS:
        expected = whole(trace, question)
        assert FLAG in str(expected)
        assert chunked(store, question, sizes) == expected


@pytest.mark.parametrize("block", [15, 1 << 16])
@pytest.mark.parametrize("rows", [5, 1000])
def test_a_store_that_is_built_holds_the_same_waits(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, block: int, rows: int
) -> None:
    monkeypatch.setattr(flag_finder, "BLOCK", block)
    for number, trace in enumerate((flag_loop(), with_another((5, 50)), with_another((-50, 1)))):
        folder = tmp_path / str(number)
        folder.mkdir()
        trace.write(folder / "t.sqlite")
        check(folder / "t.sqlite", folder, rows)
        # Two blocks of one step each place lose none: none is shorter than a series.
        found = host_waits(open_trace(folder / "t.sqlite")).flags.followed
        assert found == (0 if number == 2 else 40)
