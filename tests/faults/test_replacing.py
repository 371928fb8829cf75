"""A kill at every step of replacing a recording: the old one stands, or the new one, whole."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

from harness.capture.publish import reserve

ROOT = Path(__file__).parents[2]
OLD = {"x.nsys-rep": "old report", "x.sqlite": "old trace", "x.json": "old manifest"}
NEW = {"x.qdstrm": "new report", "x.sqlite": "new trace", "x.json": "new manifest"}

# Records over x.* and is killed before its Nth change of the file system; says END where it has
# come to its end before.
_RECORDER = """
import os, pathlib, signal, sys
from harness.capture import publish
folder, moment, links, keep = pathlib.Path(sys.argv[1]), *map(int, sys.argv[2:])
left = moment

def counted(name):
    real = getattr(os, name)
    def call(*args, **options):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        if name == "link" and not links:
            raise PermissionError(1, "no hard links here")
        return real(*args, **options)
    setattr(os, name, call)

with publish.reserve(folder, "x", force=True, keep=bool(keep)) as place:
    made = {}
    for name, text in %r.items():
        path = place.workdir / f"report{pathlib.Path(name).suffix}"
        path.write_text(text)
        made[path.suffix] = path
    for name in ("link", "replace", "rename", "unlink", "mkdir", "rmdir"):
        counted(name)
    publish.publish(place, made, force=True)
print("END")
""" % (NEW,)  # noqa: UP031 - braces are many, places are one


def record_over(folder: Path, moment: int, *, links: bool, keep: bool) -> bool:
    """Whether it was killed."""
    words = (str(folder), str(moment), str(int(links)), str(int(keep)))
    done = subprocess.run(
        [sys.executable, "-c", _RECORDER, *words],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == (0 if "END" in done.stdout else -9), done.stderr
    return done.returncode != 0


def recording(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.glob("x.*")}


def written(folder: Path) -> Path:
    folder.mkdir()
    for name, text in OLD.items():
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("links", [True, False])
def test_a_kill_at_every_step(tmp_path, links, keep):
    seen = []
    for moment in range(60):
        folder = written(tmp_path / f"{moment}")
        killed = record_over(folder, moment, links=links, keep=keep)
        at_once = recording(folder)
        # What has a manifest is what the manifest says, without any help.
        if "x.json" in at_once:
            assert at_once in (OLD, NEW) or (not links and at_once.items() <= OLD.items()), moment
        with reserve(folder, "another"):
            after = recording(folder)
        assert after in (OLD, NEW), moment
        assert keep or [path.name for path in folder.iterdir() if path.is_dir()] == [], moment
        seen.append(after)
        if not killed:
            break
    assert len(seen) > 8
    assert after == NEW
    # Once the new one stands, it stays.
    first = seen.index(NEW)
    assert first > 5
    assert seen == [OLD] * first + [NEW] * (len(seen) - first)


def killed_half_way(folder: Path) -> None:
    """The new trace stands, the new manifest does not."""
    for moment in range(60):
        assert record_over(folder, moment, links=True, keep=False)
        if recording(folder).get("x.sqlite") == "new trace":
            return
    pytest.fail("no such moment")


def test_who_records_under_that_name_next_puts_it_back_first(tmp_path):
    folder = written(tmp_path / "traces")
    killed_half_way(folder)
    with reserve(folder, "x", force=True):
        assert recording(folder) == OLD


def test_what_the_user_put_there_since_is_left(tmp_path):
    folder = written(tmp_path / "traces")
    killed_half_way(folder)
    (folder / "x.json").write_text("mine")
    before = recording(folder)
    with reserve(folder, "another"):
        assert recording(folder) == before


def test_a_name_in_use_is_left_to_who_uses_it(tmp_path):
    folder = written(tmp_path / "traces")
    killed_half_way(folder)
    half = recording(folder)
    with (folder / ".x.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with reserve(folder, "another"):
            assert recording(folder) == half
    with reserve(folder, "another"):
        assert recording(folder) == OLD
