"""How much there is, how much is needed, and how people write it."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.analysis.readers.metadata import read_metadata
from harness.analysis.readers.open import open_trace
from harness.analysis.readers.sqlite.database import open_database
from harness.analysis.store.opened import Store
from harness.analysis.store.save import save_trace
from harness.run import memory
from harness.sizes import bytes_of, shown_bytes

from .invent import invent


@pytest.mark.parametrize(
    ("text", "size"),
    [("2GB", 2 * 10**9), ("512 mb", 512 * 10**6), ("1.5GiB", 3 << 29), ("7", 7), ("1k", 1000)],
)
def test_sizes_as_people_write_them(text: str, size: int) -> None:
    assert bytes_of(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "2 gigs", "1e99", "nan", "two"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size; use for example 2GB or 512MB"):
        bytes_of(text)


def test_sizes_as_people_read_them() -> None:
    assert [shown_bytes(n) for n in (900, 5_000, 93_400_000, 1_850_000_000)] == [
        "1 kB", "5 kB", "93 MB", "1.9 GB",
    ]  # fmt: skip


def test_more_rows_need_more_memory_and_both_ways_of_asking_agree(tmp_path: Path) -> None:
    path = invent(2, tmp_path / "trace.sqlite")
    trace = open_trace(path)
    (tmp_path / "store").mkdir()
    save_trace(trace, read_metadata(open_database(path)), tmp_path / "store")
    store = Store(tmp_path / "store", path)
    empty = memory._FIXED
    assert empty < memory.needed_by_rows(store) <= memory.needed(path)
    assert memory.needed(path) - empty < 1000 * (len(trace.operations) + len(trace.calls) + 100)
    assert memory.needed(tmp_path / "missing.sqlite") == 0


def test_there_is_memory() -> None:
    assert 0 < memory.available() < 2**50
