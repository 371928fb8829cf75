"""What becomes of a recording, whatever recorded it."""

from __future__ import annotations

import dataclasses
import errno
import io
import json
import os
import sqlite3
import sys

import pytest

from harness.capture.base import Availability, CaptureRange, CaptureResult
from harness.capture.console import Console
from harness.capture.contents import look_into
from harness.capture.session import Plan, record
from harness.errors import CaptureError


def export(path, names):
    """A SQLite export with one closed range a name; None instead of a list: no NVTX table."""
    with sqlite3.connect(path) as base:
        base.execute("CREATE TABLE StringIds (id INTEGER, value TEXT)")
        base.execute("CREATE TABLE CUPTI_ACTIVITY_KIND_KERNEL (start INTEGER)")
        base.execute("INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL VALUES (1), (2)")
        if names is None:
            return
        base.execute(
            "CREATE TABLE NVTX_EVENTS "
            "(start INTEGER, end INTEGER, eventType INTEGER, text TEXT, textId INTEGER)"
        )
        for number, name in enumerate(names):
            base.execute("INSERT INTO StringIds VALUES (?, ?)", (number, name))
            by_text = number % 2 == 0
            base.execute(
                "INSERT INTO NVTX_EVENTS VALUES (1, 2, 59, ?, ?)",
                (name if by_text else None, None if by_text else number),
            )
        base.execute("INSERT INTO NVTX_EVENTS VALUES (1, NULL, 59, 'Step 99', NULL)")
        base.execute("INSERT INTO NVTX_EVENTS VALUES (1, NULL, 75, 'domain', NULL)")


@dataclasses.dataclass
class Backend:
    """Runs nothing; leaves what it is told to."""

    names: list[str] | None
    told: dict | None = None
    result: dict = dataclasses.field(default_factory=dict)
    name = "fake"
    summary = "fake"
    records = {"cpu": "cpu"}  # noqa: RUF012
    priority = None

    def probe(self, device, tool=None):
        return Availability(True, "always")

    def record(self, config, progress):
        progress.stage("recording")
        self.argv = config.argv
        sqlite = config.workdir / "anything.sqlite"
        export(sqlite, self.names)
        if self.told is not None:
            (config.workdir / "result.json").write_text(json.dumps(self.told))
        made = CaptureResult(backend="fake", exit_code=0, origin="simulated", sqlite=sqlite)
        return dataclasses.replace(made, **self.result)


def carry_out(tmp_path, backend, **fields):
    plan = Plan(
        argv=(sys.executable, "x.py", "--hf-token", "abc"),
        backend=backend,
        device="cpu",
        capture_range=CaptureRange("none"),
        output_dir=tmp_path,
        stem="x",
        **fields,
    )
    said = io.StringIO()
    return record(plan, Console(said, "x")), said.getvalue()


STEPS = ["Step 30", "Step 31", "Model Forward", "Step", "Step 1b", "my Step 3"]


def test_contents(tmp_path):
    export(tmp_path / "a.sqlite", STEPS)
    found = look_into(tmp_path / "a.sqlite")
    assert (found.steps, found.ranges, found.gpu_rows) == (2, 6, 2)
    assert found.names[0] == ("Step N", 2)
    export(tmp_path / "b.sqlite", None)
    assert look_into(tmp_path / "b.sqlite").ranges == 0
    (tmp_path / "c.sqlite").write_text("this is no database")
    with pytest.raises(CaptureError, match="cannot be read"):
        look_into(tmp_path / "c.sqlite")


def test_contents_of_hostile_names(tmp_path):
    path = tmp_path / "a.sqlite"
    export(path, ["Steps 1:4", "Steps 5:3", "Steps 1:" + "9" * 5000])
    with sqlite3.connect(path) as base:
        for name in (b"\xff1", b"\xfe1"):
            base.execute(
                "INSERT INTO NVTX_EVENTS VALUES (1, 2, 59, CAST(? AS TEXT), NULL)", (name,)
            )
        base.execute("INSERT INTO NVTX_EVENTS VALUES (1, 2, 59, ?, NULL)", (b"\xff3",))
    found = look_into(path)
    assert (found.steps, found.ranges) == (3, 6)
    assert found.names[:2] == (("Steps N:N", 3), ("\N{REPLACEMENT CHARACTER}N", 3))


def test_a_full_disk_is_not_the_target_s_fault(tmp_path):
    class Full(Backend):
        def record(self, config, progress):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(config.workdir / "x"))

    with pytest.raises(CaptureError, match=r"cannot write into .*: No space left") as caught:
        carry_out(tmp_path, Full(None))
    assert caught.value.exit_code == 125


def test_what_is_published(tmp_path):
    done, _ = carry_out(tmp_path, Backend(STEPS), about={"strategy": "s", "label": "l"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.json", "x.sqlite"]
    manifest = json.loads((tmp_path / "x.json").read_text())
    assert manifest["origin"] == "simulated"
    assert manifest["capture"]["backend"] == "fake"
    assert (manifest["strategy"], manifest["label"]) == ("s", "l")
    assert manifest["argv"][-1] == "***"
    assert manifest["steps_recorded"] == 2
    assert done.exit_code == 0


def test_what_the_target_tells_of_itself(tmp_path):
    told = {
        "strategy": "s",
        "steps": {"executed": 9},
        "device": {"name": "GPU"},
        "versions": {"torch": "9.9"},
        "window": {"recorded_steps": 3},
    }
    backend = Backend(STEPS, told, {"completeness": {"dropped": 0}})
    carry_out(tmp_path, backend, own_target=True)
    assert backend.argv[-1].startswith("--result=")
    manifest = json.loads((tmp_path / "x.json").read_text())
    assert manifest["argv"][-1] == "***"  # not our own --result
    assert manifest["result"] == {"steps": {"executed": 9}, "window": {"recorded_steps": 3}}
    assert manifest["device"] == {"kind": "cpu", "name": "GPU"}
    assert manifest["versions"]["torch"] == "9.9"
    assert manifest["capture"]["completeness"] == {
        "ranges_issued": 3,
        "ranges_found": 2,
        "dropped": 0,
    }


@pytest.mark.parametrize("names", [["Model Forward"], [], None])
def test_a_recording_without_its_steps_is_refused(tmp_path, names):
    with pytest.raises(CaptureError, match="none of them a step; run harness doctor"):
        carry_out(tmp_path, Backend(names), needs_steps=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("code", [42, 130])
def test_a_failed_or_stopped_run_without_steps_is_kept(tmp_path, code):
    done, _ = carry_out(tmp_path, Backend([], result={"exit_code": code}), needs_steps=True)
    assert done.exit_code == code
    assert len(list(tmp_path.iterdir())) == 2


def test_a_failure_after_the_recording(tmp_path):
    done, _ = carry_out(tmp_path, Backend(STEPS, result={"failure": "export failed"}))
    assert (done.exit_code, done.failure) == (125, "export failed")
    assert "export failed" in json.loads((tmp_path / "x.json").read_text())["notes"]
    own, _ = carry_out(tmp_path, Backend(STEPS, result={"failure": "x", "exit_code": 3}))
    assert own.exit_code == 3
    assert own.files[".json"].name == "x-2.json"


def test_keep(tmp_path):
    said = io.StringIO()
    plan = Plan(
        argv=(sys.executable,),
        backend=Backend([]),
        device="cpu",
        capture_range=CaptureRange("none"),
        output_dir=tmp_path,
        stem="x",
        needs_steps=True,
        keep=True,
    )
    with pytest.raises(CaptureError):
        record(plan, Console(said, "x"))
    (kept,) = tmp_path.iterdir()
    assert (kept / "anything.sqlite").exists()
    assert str(kept) in said.getvalue()


def test_console():
    said = io.StringIO()
    console = Console(said, "run")
    console.stage("recording")
    console.tick(9)
    console.tick(10.2)
    console.output("half a ")
    console.tick(11)
    console.tick(20.5)
    console.output("line\n")
    console.note("a fact")
    assert said.getvalue() == (
        "run: recording\nrun: recording, 10 s\nhalf a \nrun: recording, 20 s\nline\n  a fact\n"
    )
    said.close()
    console.note("nobody listens")  # a closed stream is no reason to lose a recording
