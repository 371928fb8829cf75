"""A store that was cut short, touched or never finished is no store."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from harness.analysis.readers.metadata import read_metadata
from harness.analysis.readers.open import open_trace
from harness.analysis.readers.sqlite.database import open_database
from harness.analysis.statistics.quantiles import Quantiles
from harness.analysis.store import folder as folders
from harness.analysis.store.codec import decode, encode
from harness.analysis.store.errors import StoreError
from harness.analysis.store.folder import read_checked, write_checked
from harness.analysis.store.layout import FORMAT
from harness.analysis.store.opened import Store
from harness.analysis.store.save import save_trace
from harness.analysis.store.strings import pack_strings, unpack_strings

from .invent import invent


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = invent(3, tmp_path / "trace.sqlite")
    place = tmp_path / "store"
    place.mkdir()
    save_trace(open_trace(path), read_metadata(open_database(path)), place)
    Store(place, path)
    return place


COLUMN = "operations.start.bin"


def test_a_column_cut_short(store: Path) -> None:
    (store / COLUMN).write_bytes((store / COLUMN).read_bytes()[:-8])
    with pytest.raises(StoreError, match="has changed"):
        Store(store, store)


def test_a_column_written_over(store: Path) -> None:
    data = bytearray((store / COLUMN).read_bytes())
    data[3] ^= 1
    (store / COLUMN).write_bytes(data)
    with pytest.raises(StoreError, match="has changed"):
        Store(store, store)


def test_a_missing_column(store: Path) -> None:
    (store / COLUMN).unlink()
    with pytest.raises(StoreError, match="No such file"):
        Store(store, store)


def test_a_head_that_says_something_else(store: Path) -> None:
    def said(number: int) -> bytes:
        return b'"format": %d' % number

    data = (store / folders.HEAD).read_bytes()
    (store / folders.HEAD).write_bytes(data.replace(said(FORMAT), said(FORMAT + 1)))
    with pytest.raises(StoreError, match="damaged"):
        Store(store, store)


def test_a_folder_whose_builder_was_killed(store: Path) -> None:
    (store / folders.HEAD).unlink()
    with pytest.raises(StoreError):
        Store(store, store)


def test_damage_by_a_crash_of_the_machine_is_found_once_after_the_next_start(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Size and time of change are right, the content never reached the disk."""
    info = (store / COLUMN).stat()
    healthy = (store / COLUMN).read_bytes()
    monkeypatch.setattr(folders, "_boot", lambda: "the next start")
    Store(store, store)
    (store / COLUMN).write_bytes(bytes(len(healthy)))
    os.utime(store / COLUMN, ns=(info.st_atime_ns, info.st_mtime_ns))
    monkeypatch.setattr(folders, "_boot", lambda: "one more start")
    with pytest.raises(StoreError, match="damaged"):
        Store(store, store)
    (store / COLUMN).write_bytes(healthy)
    os.utime(store / COLUMN, ns=(info.st_atime_ns, info.st_mtime_ns))
    Store(store, store)
    head = json.loads(read_checked(store / folders.HEAD))
    assert head["boot"] == "one more start"


def test_kept_figures_come_back_and_nothing_else_does(tmp_path: Path) -> None:
    figures = Quantiles.of(np.array([1, 5, 9]))
    value = (figures, {(1, 2): np.arange(3)}, None, "x", 0.1)
    back = decode(encode(value), (Quantiles,))
    assert back[0] == figures
    assert back[1][1, 2].tolist() == [0, 1, 2]
    assert back[2:] == value[2:]
    with pytest.raises(StoreError):
        decode(encode(value), ())
    with pytest.raises(StoreError):
        decode(b"12\n{", (Quantiles,))
    with pytest.raises(TypeError, match="cannot be kept"):
        encode(object())


def test_checked_files(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    write_checked(path, b"figures")
    assert read_checked(path) == b"figures"
    path.write_bytes(path.read_bytes().replace(b"figures", b"fingers"))
    with pytest.raises(StoreError, match="damaged"):
        read_checked(path)
    assert [p.name for p in tmp_path.iterdir()] == ["x.bin"]


def test_texts() -> None:
    values = {1: "a", -2: "", 5: "Schritt \N{GREEK SMALL LETTER MU}", 7: "\udc80 lone"}
    assert unpack_strings(pack_strings(values)) == values
    assert unpack_strings(pack_strings({})) == {}
