"""Files appear whole, under a name nobody else had, or not at all."""

import errno
import multiprocessing
import os

import pytest

from harness.capture.publish import publish, reserve
from harness.capture.replaced import move
from harness.errors import CaptureError


def files_of(place, **content):
    made = {}
    for suffix, text in content.items():
        path = place.workdir / f"report.{suffix}"
        path.write_text(text)
        made[f".{suffix}"] = path
    return made


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_nothing_but_the_files_is_left(tmp_path):
    with reserve(tmp_path / "new" / "traces", "a b") as place:
        (place.workdir / "scratch").write_text("x")
        final = publish(place, files_of(place, sqlite="s", json="j"))
    assert names(tmp_path / "new" / "traces") == ["a b.json", "a b.sqlite"]
    assert final[".json"].read_text() == "j"
    assert final[".sqlite"] == tmp_path / "new" / "traces" / "a b.sqlite"


def fail(folder, **options):
    with reserve(folder, "a", **options) as place:
        files_of(place, sqlite="s")
        raise RuntimeError


def test_nothing_is_left_of_a_failure(tmp_path):
    with pytest.raises(RuntimeError):
        fail(tmp_path)
    assert names(tmp_path) == []


def test_keep_leaves_the_working_folder_of_a_failure(tmp_path):
    with pytest.raises(RuntimeError):
        fail(tmp_path, keep=True)
    (kept,) = tmp_path.iterdir()
    assert names(kept) == ["report.sqlite"]


@pytest.mark.parametrize("suffix", [".nsys-rep", ".qdstrm", ".sqlite", ".json"])
def test_a_taken_name(tmp_path, suffix):
    (tmp_path / f"a{suffix}").write_text("old")
    with pytest.raises(CaptureError, match=r"exists; use --force"), reserve(tmp_path, "a"):
        pytest.fail("reserved over an existing file")
    with reserve(tmp_path, "a", number=True) as place:
        assert place.stem == "a-2"
    assert (tmp_path / f"a{suffix}").read_text() == "old"


def test_force_replaces_the_whole_recording(tmp_path):
    for suffix in (".nsys-rep", ".sqlite", ".json"):
        (tmp_path / f"a{suffix}").write_text("old")
    with reserve(tmp_path, "a", force=True) as place:
        publish(place, files_of(place, qdstrm="new", json="new"), force=True)
    assert names(tmp_path) == ["a.json", "a.qdstrm"]
    assert (tmp_path / "a.json").read_text() == "new"


def test_a_name_taken_while_recording_is_not_overwritten(tmp_path):
    with reserve(tmp_path, "a") as place:
        (tmp_path / "a.sqlite").write_text("theirs")
        files = files_of(place, json="ours", sqlite="ours")
        with pytest.raises(CaptureError, match="appeared while recording"):
            publish(place, files)
    assert names(tmp_path) == ["a.sqlite"]
    assert (tmp_path / "a.sqlite").read_text() == "theirs"


def test_a_move_that_fails_leaves_no_empty_file(tmp_path, monkeypatch):
    def refused(*_, **__):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    (tmp_path / "a").write_text("whole")
    monkeypatch.setattr(os, "link", refused)
    monkeypatch.setattr(os, "replace", refused)
    with pytest.raises(OSError, match="Input/output error"):
        move(tmp_path / "a", tmp_path / "b")
    assert names(tmp_path) == ["a"]


def test_one_recording_at_a_time_has_a_name(tmp_path):
    with reserve(tmp_path, "a"):
        with pytest.raises(CaptureError, match="another recording is writing"):  # noqa: SIM117
            with reserve(tmp_path, "a"):
                pytest.fail("reserved twice")
        with reserve(tmp_path, "a", number=True) as second:
            assert second.stem == "a-2"
    with reserve(tmp_path, "a") as again:
        assert again.stem == "a"


def _hold_and_die(folder):
    with reserve(folder, "a"):
        os.kill(os.getpid(), 9)


def test_a_killed_recording_does_not_hold_its_name(tmp_path):
    process = multiprocessing.get_context("spawn").Process(target=_hold_and_die, args=(tmp_path,))
    process.start()
    process.join(30)
    assert process.exitcode == -9
    assert ".a.lock" in names(tmp_path)
    with reserve(tmp_path, "a") as place:
        assert place.stem == "a"
    assert ".a.lock" not in names(tmp_path)


@pytest.mark.parametrize("folder", ["/proc/traces", "file/traces"])
def test_a_folder_that_cannot_be_written(tmp_path, folder):
    (tmp_path / "file").write_text("")
    with pytest.raises(CaptureError, match=r"cannot write into .*--output-dir"):  # noqa: SIM117
        with reserve(tmp_path / folder, "a"):
            pytest.fail("reserved in an unwritable folder")


def _leave(folder, keep):
    with reserve(folder, "a", keep=keep) as place:
        files_of(place, sqlite="half")
        os.kill(os.getpid(), 9)


@pytest.mark.parametrize("keep", [False, True])
def test_what_a_killed_recording_left_is_swept_and_what_is_used_or_kept_is_not(tmp_path, keep):
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_leave, args=(tmp_path, keep))
    process.start()
    process.join(60)
    (tmp_path / ".mine.harness-12345678").mkdir()
    left = {path for path in tmp_path.iterdir() if path.is_dir()}
    assert len(left) == 2
    with reserve(tmp_path, "b") as used, reserve(tmp_path, "c"):
        assert used.workdir.exists()
        there = {path for path in tmp_path.iterdir() if path.is_dir()}
        assert len(there) == (4 if keep else 3)
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == (2 if keep else 1)


def test_a_refused_move_puts_back_what_force_had_replaced(tmp_path, monkeypatch):
    for suffix in (".nsys-rep", ".sqlite", ".json", ".qdstrm"):
        (tmp_path / f"a{suffix}").write_text("old")
    real = os.replace

    def refuse(source, target):
        if str(target).endswith("a.json") and "replaced" not in str(source):
            raise OSError(5, "Input/output error")
        real(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    with reserve(tmp_path, "a", force=True) as place:
        made = files_of(place, sqlite="new", json="new")
        with pytest.raises(CaptureError, match="Input/output error"):
            publish(place, made, force=True)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        f"a{suffix}": "old" for suffix in (".nsys-rep", ".sqlite", ".json", ".qdstrm")
    }


def test_the_manifest_comes_last_and_an_old_one_goes_first(tmp_path, monkeypatch):
    (tmp_path / "a.json").write_text("old")
    seen = []
    real = os.replace

    def watch(source, target):
        seen.append((target.suffix, (tmp_path / "a.json").exists()))
        real(source, target)

    monkeypatch.setattr(os, "replace", watch)
    with reserve(tmp_path, "a", force=True) as place:
        publish(place, files_of(place, json="new", sqlite="new"), force=True)
    assert seen == [(".new", True), (".sqlite", False), (".json", False)]


def test_a_folder_under_the_name_is_not_replaced(tmp_path):
    (tmp_path / "a.json").mkdir()
    (tmp_path / "a.json" / "theirs").write_text("x")
    (tmp_path / "a.sqlite").write_text("old")
    with reserve(tmp_path, "a", force=True) as place:
        made = files_of(place, sqlite="new", json="new")
        with pytest.raises(CaptureError, match="Is a directory"):
            publish(place, made, force=True)
    assert names(tmp_path) == ["a.json", "a.sqlite"]
    assert (tmp_path / "a.sqlite").read_text() == "old"
    assert names(tmp_path / "a.json") == ["theirs"]
