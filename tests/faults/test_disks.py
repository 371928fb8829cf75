"""A disk that is full, and one that can only be read."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.report.build import loop

from . import slow_nsys
from .machine import all_gone, contents, start, whole


@contextlib.contextmanager
def tmpfs(folder: Path, options: str) -> Iterator[Path]:
    """A small disk of its own at `folder`; the test is skipped where nothing can be mounted."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here ({mounted.stderr.strip()}): full disks unchecked")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def fill(folder: Path, leave: int) -> None:
    """Fill the disk up to so many bytes."""
    with contextlib.suppress(OSError), (folder / "ballast").open("wb", buffering=0) as file:
        while True:
            file.write(b"\0" * 4096)
    with (folder / "ballast").open("rb+") as file:
        file.truncate(max(0, (folder / "ballast").stat().st_size - leave))


def test_recording_on_a_full_disk(tmp_path):
    base = loop(tmp_path / "base.sqlite", steps=3)
    (tmp_path / "bin").mkdir()
    nsys = slow_nsys.install(tmp_path / "bin", base)
    size = base.stat().st_size
    # Room for nothing; for half the export; for the export, but not its manifest; for everything.
    outcomes = []
    with tmpfs(tmp_path / "disk", "size=1m") as disk:
        (disk / "x.other").write_text("precious")
        for leave in (0, size // 2, size + 4096, size + 64 * 1024):
            fill(disk, leave)
            before = contents(disk)
            run = start(
                tmp_path,
                *("profile", "--nsys", nsys, "--device", "cpu", "--name", f"x{leave}", "-o", disk),
                *("--", "true"),
            )
            code = run.wait()
            assert all_gone(run.mark) == {}
            said = run.words()
            assert "Traceback" not in "\n".join(said)
            after = contents(disk)
            assert {name: after.get(name) for name in before} == before
            new = {name for name in after if name not in before}
            for name in new:
                assert name.endswith(".nsys-rep") or whole(disk / name)
            if any(name.endswith(".nsys-rep") for name in new):
                assert after[f"x{leave}.nsys-rep"] == slow_nsys.REPORT.encode()
            if code:
                assert code == 125, said
                assert "error" in said[-1] or "No space left" in "\n".join(said), said
            assert [path for path in disk.iterdir() if path.name.startswith(".x")] == []
            outcomes.append((code, len(new)))
            for name in new:
                (disk / name).unlink()
    assert outcomes[0] == (125, 0)
    assert outcomes[-1] == (0, 3)


@pytest.mark.nsys
def test_the_real_nsys_on_a_full_disk(tmp_path):
    nsys = shutil.which("nsys")
    if nsys is None:
        pytest.skip("nsys is not on PATH: a full disk under the real one not checked")
    with tmpfs(tmp_path / "disk", "size=1m") as disk:
        fill(disk, 64 * 1024)
        run = start(
            tmp_path,
            *("profile", "--nsys", nsys, "--device", "cpu", "--name", "x", "-o", disk),
            *("--", sys.executable, "-c", "print('hello')"),
        )
        code = run.wait()
        assert all_gone(run.mark) == {}
        said = "\n".join(run.words())
        assert code == 125, said
        assert "Traceback" not in said
        assert "free space" in said, said
        for name in contents(disk):
            assert name == "ballast" or whole(disk / name), said


def commands(trace: Path, folder: Path) -> list[list[object]]:
    """Every command that writes a file, into that folder."""
    return [
        ["report", trace, "-o", folder / "report.html"],
        ["gaps", trace, "-o", folder / "gaps.json"],
        ["show", trace, "-o", folder / "figure.svg"],
        ["export", trace, "-o", folder / "rows.csv"],
        ["scrub", trace, "-o", folder / "clean.sqlite"],
    ]


@pytest.mark.parametrize("which", range(5), ids=["report", "gaps", "show", "export", "scrub"])
def test_writing_on_a_full_disk(tmp_path, inside, which):
    trace = loop(tmp_path / "run.sqlite")
    with tmpfs(tmp_path / "disk", "size=64k") as disk:
        fill(disk, 0)
        before = contents(disk)
        done = inside(*commands(trace, disk)[which])
        assert done.returncode == 1, done.stderr
        last = done.stderr.strip().splitlines()[-1]
        assert last.startswith("harness: error: "), last
        assert "No space left" in last or "full" in last, last
        assert contents(disk) == before
        assert [path.name for path in disk.iterdir()] == ["ballast"]


@pytest.mark.parametrize("which", range(5), ids=["report", "gaps", "show", "export", "scrub"])
def test_writing_into_a_folder_that_cannot_be_written_or_is_not_there(tmp_path, inside, which):
    trace = loop(tmp_path / "run.sqlite")
    with tmpfs(tmp_path / "disk", "size=64k") as disk:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        assert not os.access(disk, os.W_OK)
        done = inside(*commands(trace, disk)[which])
        assert (done.returncode, "cannot write into" in done.stderr) == (1, True), done.stderr
        if which == 0:
            recorded = inside("profile", "--capture", "null", "-o", disk, "--", "true")
            assert recorded.returncode == 125
            assert f"cannot write into {disk}: Read-only file system" in recorded.stderr
    trace.write_bytes(b"not a trace: it must not even be opened")
    done = inside(*commands(trace, tmp_path / "nowhere")[which])
    assert done.returncode == 1
    assert done.stderr == (
        f"harness: error: {tmp_path / 'nowhere'} is not a directory; create it first "
        "[not-a-directory]\n"
    )
