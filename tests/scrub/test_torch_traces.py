"""Scrubbed copies of torch.profiler's JSON: every figure, and nothing else."""

from __future__ import annotations

import contextlib
import gzip
import json
import sqlite3
from pathlib import Path

import pytest

from harness.analysis.readers.formats import is_json
from harness.commands.scrub import command
from harness.errors import HarnessError
from harness.scrub.scrub import scrub
from tests.conftest import DATA, ROOT
from tests.kineto.kineto_json import Event, event, kineto_2_11, launch
from tests.report.build import loop as sqlite_loop

US = 1000
CANARY = "canary-7f3a-hunter2"


def events(annotation: str = "ProfilerStep#{}") -> list[Event]:
    made: list[Event] = []
    for k in range(14):
        at = k * 100 * US
        step = event("user_annotation", annotation.format(k), at, at + 99 * US, 100, 100)
        step["args"] = {"External id": 7, "note": CANARY, "name": CANARY}
        call, gpu = (at + 10 * US, at + 15 * US), (at + 20 * US, at + 80 * US)
        launched = launch("gemm", call, gpu, k + 1)
        launched[0]["args"] |= {"Call stack": f"/home/{CANARY}/train.py(3)"}
        frame = event("python_function", f"/home/{CANARY}/train.py(3): step", at, at + 9, 100, 100)
        made += [step, *launched, frame]
    made.append({"ph": "M", "name": "process_name", "pid": 100, "tid": 0, "args": {"name": CANARY}})
    made.append({"ph": "M", "name": "thread_name", "pid": 100, "tid": 100,
                 "args": {"name": "thread 100 (python)"}})  # fmt: skip
    return made


def head(**more: object) -> str:
    told = {"host": CANARY, "env": {"HF_TOKEN": f"{CANARY}-token", "MODE": "eager_mode"}} | more
    return f'"metadata": {json.dumps(told)},'


def written(folder: Path, made: list[Event], **more: object) -> Path:
    path = folder / "trace.json"
    path.write_bytes(kineto_2_11(made, head=head(**more)))
    return path


@pytest.mark.parametrize("ending", [".json", ".json.gz"])
def test_what_figures_do_not_need_is_not_in_the_copy(tmp_path: Path, ending: str) -> None:
    clean = tmp_path / f"clean{ending}"
    done = scrub(written(tmp_path, events()), clean)
    data = clean.read_bytes()
    data = gzip.decompress(data) if ending.endswith(".gz") else data
    assert CANARY.encode() not in data
    copy = json.loads(data)
    assert {one.get("cat") for one in copy["traceEvents"]} == {
        "user_annotation", "cuda_runtime", "kernel", None,
    }  # fmt: skip
    assert ("python_function", 14) in done.dropped
    assert ("kernel", 14) in done.kept
    assert done.searched.values >= 2


@pytest.mark.parametrize(
    "path",
    [*sorted(DATA.glob("*.json.gz")), *sorted((ROOT / "tests/kineto/data").glob("*.json.gz"))],
    ids=lambda path: path.name.partition(".")[0],
)
def test_every_figure_stays(path: Path, inside, tmp_path: Path) -> None:
    clean = tmp_path / "clean" / path.name
    clean.parent.mkdir()
    scrub(path, clean)
    found = []
    for file in (path, clean):
        run = inside("gaps", str(file), "--by", "cause", "--top", "3", "--format", "json")
        known = json.loads(run.stdout)
        del known["traces"][0]["path"], known["traces"][0]["answer"]["next"]
        for row in (*known["by_cause"], *known["top_gaps"], *known["strategies"]):
            row.pop("trace", None)
        found.append(known)
    assert found[0] == found[1]


def test_a_secret_that_an_annotation_is_named_after(tmp_path: Path) -> None:
    trace = written(tmp_path, events(f"ProfilerStep#{{}} {CANARY}"))
    clean = tmp_path / "clean.json"
    with pytest.raises(
        HarnessError, match="texts of the head stand in what is kept: host;"
    ) as said:
        scrub(trace, clean)
    assert CANARY not in str(said.value)
    assert not clean.exists()
    done = scrub(trace, clean, allow=("host",))
    assert done.searched.allowed == ("host",)


def test_a_word_of_a_setting_may_stand_in_the_name_of_a_kernel(tmp_path: Path) -> None:
    made = [one | {"name": "gemm_bfloat16"} if one.get("cat") == "kernel" else one
            for one in events()]  # fmt: skip
    done = scrub(written(tmp_path, made, dtype="bfloat16"), tmp_path / "clean.json")
    assert done.searched.shared == 1


def test_the_command(tmp_path: Path, inside) -> None:
    written(tmp_path, events())
    wrong = inside("scrub", "trace.json", "-o", "clean.sqlite")
    assert "the copy is a JSON file" in wrong.stderr
    run = inside("scrub", "trace.json", "-o", "clean.json")
    assert (run.returncode, run.stderr) == (0, "")
    assert "python_function (14 rows)" in run.stdout
    assert "exists" in inside("scrub", "trace.json", "-o", "clean.json").stderr
    assert "is the input" in inside("scrub", "trace.json", "-o", "trace.json", "--force").stderr


def test_the_command_looks_once_at_what_a_file_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = []

    def noted(path: Path) -> bool:
        looked.append(path)
        return is_json(path)

    monkeypatch.setattr("harness.analysis.readers.formats.is_json", noted)
    monkeypatch.setattr("harness.scrub.scrub.is_json", noted)
    trace = written(tmp_path, events())
    command.main([str(trace), "-o", str(tmp_path / "clean.json")], standalone_mode=False)
    assert looked == [trace]


def of_torchrun(folder: Path, thread: str, program: str, annotation: str = "") -> Path:
    """A trace with a thread called like the program that was started."""
    path = sqlite_loop(folder / "run.sqlite")
    with contextlib.closing(sqlite3.connect(path)) as base:
        base.execute("CREATE TABLE META_DATA_CAPTURE (name TEXT, value TEXT)")
        base.execute("INSERT INTO META_DATA_CAPTURE VALUES ('PROGRAM', ?)", (program,))
        base.execute("INSERT INTO StringIds VALUES (9001, ?)", (thread,))
        base.execute("INSERT INTO ThreadNames (nameId, globalTid) VALUES (9001, 77)")
        if annotation:
            base.execute("UPDATE StringIds SET value = ? WHERE value = 'Model Forward'",
                         (annotation,))  # fmt: skip
        base.commit()
    return path


@pytest.mark.parametrize("program", ["torchrun", "accelerate", "deepspeed", "python3.11"])
def test_a_thread_that_is_called_like_the_program(tmp_path: Path, program: str) -> None:
    done = scrub(of_torchrun(tmp_path, program, program), tmp_path / "clean.sqlite")
    assert done.searched.shared == 1


@pytest.mark.parametrize(
    ("thread", "annotation"), [("torchrun-7", ""), ("torchrun", "torchrun step")]
)
def test_a_part_of_a_name_is_still_a_leak(tmp_path: Path, thread: str, annotation: str) -> None:
    trace = of_torchrun(tmp_path, thread, "torchrun", annotation)
    with pytest.raises(HarnessError, match=r"PROGRAM \(in StringIds.value\)"):
        scrub(trace, tmp_path / "clean.sqlite")


@pytest.mark.parametrize(("label", "leaks"), [("run", False), ("run of 2.9.0+cu128", True)])
def test_a_version_that_containers_have_in_their_environment(
    tmp_path: Path, label: str, leaks: bool
) -> None:
    told = {"manifest_version": 1, "label": label, "versions": {"torch": "2.9.0+cu128"}}
    trace = sqlite_loop(tmp_path / "run.sqlite", manifest=told)
    with contextlib.closing(sqlite3.connect(trace)) as base:
        base.execute("CREATE TABLE META_DATA_CAPTURE (name TEXT, value TEXT)")
        base.execute("INSERT INTO META_DATA_CAPTURE VALUES ('ENV', 'PYTORCH_VERSION=2.9.0+cu128')")
        base.commit()
    clean = tmp_path / "clean.sqlite"
    if leaks:
        with pytest.raises(HarnessError, match=r"PYTORCH_VERSION \(in the manifest\)"):
            scrub(trace, clean)
    else:
        scrub(trace, clean)
        assert "2.9.0+cu128" in clean.with_suffix(".json").read_text()
