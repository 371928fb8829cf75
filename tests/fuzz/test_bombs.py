"""Small files made to cost much are read or refused in seconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.analysis.analyze import analyze
from harness.analysis.gains.gpu import read_gpu
from harness.analysis.model.errors import TraceError
from harness.analysis.reports.base import Report, Terminal, reporters
from harness.manifest import read_manifest

from . import bombs
from .oracle import in_time, one_line


@pytest.mark.parametrize("bomb", [*bombs.SQLITE, *bombs.JSON], ids=lambda b: b.__name__)
def test_no_small_file_stalls_a_reader(tmp_path: Path, bomb: Callable[[], bytes]) -> None:
    path = tmp_path / "bomb.trace"
    path.write_bytes(bomb())
    assert path.stat().st_size <= 2 * bombs.SMALL
    with in_time():
        try:
            report = analyze(path)
        except TraceError as error:
            one_line(error, path)
            return
        for name, reporter in reporters().items():
            if name != "html":
                reporter.render(Report((report,)), Terminal())


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"[" * 1_000_000, "expands|nested"),
        (b"{" * 1_000_000, "nested"),
        (b" " * 1_000_000, "expands"),
        (b"{}," * 1_000_000, "without a phase"),
    ],
)
def test_a_little_gzip_is_not_a_lot_of_json(tmp_path: Path, content: bytes, says: str) -> None:
    import gzip

    path = tmp_path / "bomb.json.gz"
    path.write_bytes(gzip.compress(b'{"traceEvents":[' + content * 40, 6))
    assert path.stat().st_size < bombs.SMALL
    with in_time(), pytest.raises(TraceError, match=says) as caught:
        analyze(path)
    one_line(caught.value, path)


@pytest.mark.parametrize("page", [512, 1024, 4096, 65536])
@pytest.mark.parametrize("table", ["NVTX_EVENTS", "StringIds"])
def test_sound_files_of_every_page_size_are_trees(tmp_path: Path, page: int, table: str) -> None:
    import sqlite3

    from harness.analysis.model.schema import NVTX, STRINGS
    from harness.analysis.readers.sqlite.database import open_database

    path = tmp_path / "sound.sqlite"
    path.write_bytes(bombs._loop(2000))
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA page_size = {page}")
    connection.execute("VACUUM")
    connection.close()
    wanted = {"NVTX_EVENTS": NVTX, "StringIds": STRINGS}[table]
    columns = open_database(path).read(wanted)
    assert len(columns[wanted.columns[0].name]) >= 2000


def test_depth_in_the_readers_of_plain_files(tmp_path: Path) -> None:
    manifest = tmp_path / "deep.json"
    manifest.write_bytes(bombs.manifest_like())
    with in_time(), pytest.raises(TraceError):
        read_manifest(manifest)
    gpu = tmp_path / "deep.toml"
    for text in ("a = " + "[" * 100_000, "a = " + "9" * 100_000, "[" + "a." * 100_000 + "a]"):
        gpu.write_text(text)
        with in_time(), pytest.raises(TraceError):
            read_gpu(gpu)
