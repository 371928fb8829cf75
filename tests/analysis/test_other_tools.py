"""Files of other tools are named for what they are, with the one thing that helps."""

from __future__ import annotations

import gzip
import io
import sqlite3
import tarfile
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

from harness.analysis.model.errors import TraceError
from harness.analysis.readers.open import open_trace
from harness.scrub.scrub import scrub

from .build import decode_loop


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("trace.json", "{}")
    return file.getvalue()


def tarred() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("trace.json"))
    return file.getvalue()


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 7\n"


@pytest.mark.parametrize(
    ("name", "content", "what", "command"),
    [
        ("t.sqlite", LFS, "a pointer of Git LFS", "`git lfs pull --include="),
        ("t.json", b"../.git/annex/objects/x/y", "a pointer of git-annex", "`git annex get "),
        ("t.sqlite", b"\n<!DOCTYPE HTML><p>", "an HTML page", "`curl -L -o "),
        ("t.json", b"<html><body>Sign in", "an HTML page", "`curl -L -o "),
        ("t.sqlite", zipped(), "a ZIP archive", "`unzip "),
        ("t.sqlite", tarred(), "a tar archive", "`tar xf "),
        ("t.sqlite.zst", b"\x28\xb5\x2f\xfd1234", "packed by zstd", "`unzstd "),
        ("t.sqlite.xz", b"\xfd7zXZ\x00\x00", "packed by xz", "`unxz "),
        (
            "t.log",
            b"==123== NVPROF is profiling process 123",
            "what nvprof printed",
            "nsys profile",
        ),
        ("t.ncu-rep", b"NVR\x00\x01", "a report of Nsight Compute", "nsys profile"),
        ("t.qdrep", b"\x08\x01", "an older Nsight Systems", "`nsys export --type sqlite "),
        ("t.qdstrm", b"\x08\x01", "did not finish", "`QdstrmImporter -i "),
        ("t.pftrace", b"\x0a\x10", "a Perfetto trace", "torch.profiler"),
        (
            "t.json.gz",
            gzip.compress(b"SQLite format 3\0", mtime=0),
            "SQLite file inside gzip",
            "`zcat ",
        ),
        ("t.json.gz", gzip.compress(tarred(), mtime=0), "a tar archive", "`tar xf "),
        ("t.json.gz", gzip.compress(b"<html>", mtime=0), "an HTML page", "`curl -L -o "),
    ],
)
def test_by_its_first_bytes_or_its_name(
    tmp_path: Path, name: str, content: bytes, what: str, command: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(TraceError) as raised:
        open_trace(path)
    assert raised.value.code == "foreign-file"
    assert str(raised.value).startswith(f"{path} is ")
    assert what in str(raised.value)
    assert command in str(raised.value)


@pytest.mark.parametrize(
    ("name", "tables", "what", "helps"),
    [
        (
            "t.db",
            ("CUPTI_ACTIVITY_KIND_RUNTIME", "StringTable"),
            "a file of nvprof",
            "nsys profile",
        ),
        ("t.db", ("CUPTI_ACTIVITY_KIND_KERNEL", "stringtable"), "a file of nvprof", "nsys profile"),
        ("t.db", ("rocpd_kernel_dispatch_0",), "a rocpd database", "torch.profiler"),
        ("t.db", ("rocpd_op", "rocpd_api"), "a rocpd database", "torch.profiler"),
        ("dlprof_dldb.sqlite", ("ops",), "a database of DLProf", "nsys_profile.qdrep"),
        ("hip-prof-1.db", ("API",), "a database of hipprof", "torch.profiler"),
        ("t.db", ("slice", "thread_track"), "Perfetto's trace processor", "torch.profiler"),
    ],
)
def test_by_its_tables(
    tmp_path: Path, name: str, tables: tuple[str, ...], what: str, helps: str
) -> None:
    path = tmp_path / name
    with closing(sqlite3.connect(path)) as base:
        for table in tables:
            base.execute(f"CREATE TABLE {table} (start int, end int)")
    with pytest.raises(TraceError) as raised:
        open_trace(path)
    assert raised.value.code == "foreign-file"
    assert what in str(raised.value)
    assert helps in str(raised.value)


@pytest.mark.parametrize("name", ["run.qdrep", "run.pftrace", "hip-prof-1.db", "run.zip"])
def test_a_trace_is_one_whatever_its_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / "t.sqlite"
    decode_loop().write(path)
    renamed = path.rename(tmp_path / name)
    assert len(open_trace(renamed).operations)


def test_scrub_names_them_too(tmp_path: Path) -> None:
    path = tmp_path / "t.sqlite"
    path.write_bytes(LFS)
    with pytest.raises(TraceError, match="git lfs pull"):
        scrub(path, tmp_path / "clean.sqlite")
