"""Before a recording: the command is taken apart, the road chosen, rivals found."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest

from harness.capture.base import CaptureConfig, CaptureRange
from harness.capture.console import Console
from harness.capture.cupti import build, find, plan
from harness.capture.cupti.backend import CuptiBackend
from harness.errors import CaptureError


@pytest.mark.parametrize(
    ("argv", "interpreter", "words"),
    [
        (["python", "my.py", "-x"], ("python",), ("my.py", "-x")),
        (["python3.12", "-u", "-O", "my.py"], ("python3.12", "-u", "-O"), ("my.py",)),
        (["python", "-W", "ignore", "my.py"], ("python", "-W", "ignore"), ("my.py",)),
        (["python", "-Xfrozen_modules=off", "m.py"], ("python", "-Xfrozen_modules=off"), ("m.py",)),
        (["python", "-m", "pkg.mod", "a"], ("python",), ("-m", "pkg.mod", "a")),
        (["python", "-I", "-c", "print()", "a"], ("python", "-I"), ("-c", "print()", "a")),
    ],
)
def test_command_lines(argv, interpreter, words):
    assert plan.python_target(argv) == plan.Target(interpreter, words)


def test_a_script_with_a_shebang(tmp_path):
    script = tmp_path / "tool"
    script.write_text("#!/usr/bin/env python3\n")
    script.chmod(0o755)
    assert plan.python_target([str(script), "a"]) == plan.Target(("python3",), (str(script), "a"))
    script.write_text("#!/usr/bin/env -S python3 -u\n")
    assert plan.python_target([str(script)]) == plan.Target(("python3", "-u"), (str(script),))


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["/bin/ls"], "/bin/ls is none"),
        (["python"], "no script in the command"),
        (["python", "-"], "no script in the command"),
        (["python", "--version"], "no script in the command"),
        (["torchrun", "train.py"], "torchrun starts the program"),
        (["/usr/bin/python3", "/opt/bin/torchrun", "train.py"], "torchrun starts the program"),
        (["python", "-m", "torch.distributed.run", "t.py"], "torch.distributed.run starts"),
        (["python", "-m", "accelerate.commands.launch"], "accelerate.commands.launch starts"),
    ],
)
def test_what_cannot_be_recorded(argv, words):
    with pytest.raises(CaptureError, match=words) as found:
        plan.python_target(argv)
    assert found.value.remedy


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("NSYS_PROFILING_SESSION_ID", "Nsight Systems is already attached"),
        ("CUDA_INJECTION64_PATH", "a CUDA injection tool"),
        ("NV_COMPUTE_PROFILER_PERFWORKS_DIR", "Nsight Compute"),
    ],
)
def test_other_profilers(name, words):
    assert plan.other_profiler({name: ""}) is None
    assert words in plan.other_profiler({name: "1"})


_ALL = {"libraries": ["/l/libcupti.so.13"], "includes": ["/i"], "torch_cuda": "13.0"}


@pytest.mark.parametrize(
    ("changes", "asked", "compiler", "road", "words"),
    [
        ({}, None, ["cc"], "shim", "compiled with cc"),
        ({}, "torch", ["cc"], "torch", "as asked"),
        ({}, None, None, "torch", "no C compiler"),
        ({"includes": []}, None, ["cc"], "torch", "no CUPTI headers"),
        ({"libraries": []}, None, ["cc"], "torch", "no libcupti"),
    ],
)
def test_roads(monkeypatch, changes, asked, compiler, road, words):
    monkeypatch.setattr(build, "find_compiler", lambda: compiler)
    chosen = plan.choose_road(_ALL | changes, asked)
    assert chosen.name == road
    assert words in chosen.reason


@pytest.mark.parametrize(
    ("changes", "asked", "words"),
    [
        ({"includes": []}, "shim", "the CUPTI shim cannot be built: no CUPTI headers"),
        ({"includes": [], "torch_cuda": None}, None, "no PyTorch with CUDA"),
    ],
)
def test_no_road(monkeypatch, changes, asked, words):
    monkeypatch.setattr(build, "find_compiler", lambda: ["cc"])
    with pytest.raises(CaptureError, match=words):
        plan.choose_road(_ALL | changes, asked)


def test_the_target_s_interpreter_is_asked(tmp_path):
    found = plan.ask(plan.Target((sys.executable,), ("my.py",)))
    assert found["executable"] == sys.executable
    with pytest.raises(CaptureError, match="cannot be asked"):
        plan.ask(plan.Target((str(tmp_path / "python"),), ()))


def test_without_pytorch_no_other_road_takes_over(tmp_path, monkeypatch):
    found = {"libraries": ["lib"], "includes": [str(tmp_path)], "torch_cuda": None}
    monkeypatch.setattr(plan, "ask", lambda target: found)
    monkeypatch.setenv("CC", "sh")
    config = CaptureConfig(("python", "my.py"), "cuda", tmp_path, CaptureRange("none"))
    with pytest.raises(CaptureError, match="no CUPTI_API_VERSION"):
        CuptiBackend().record(config, Console(io.StringIO(), "t"))


@pytest.mark.parametrize(
    ("does", "words"),
    [
        ("echo 'SyntaxError: too old' >&2; exit 1", "SyntaxError: too old"),
        ("exit 3", "it ended with code 3"),
        ("echo 0", "it said '0'"),
    ],
)
def test_an_interpreter_that_does_not_answer(tmp_path, does, words):
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\n{does}\n")
    program.chmod(0o755)
    with pytest.raises(CaptureError, match=f"cannot be asked for its packages: {words}"):
        plan.ask(plan.Target((str(program),), ()))


def test_wheels_are_found_by_pytorch_s_cuda(tmp_path, monkeypatch):
    for home, release in (("cu13", "13"), ("cuda_cupti", "12")):
        (tmp_path / "nvidia" / home / "lib").mkdir(parents=True)
        (tmp_path / "nvidia" / home / "lib" / f"libcupti.so.{release}").touch()
    (tmp_path / "torch").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.setattr(find, "_TOOLKITS", ())
    monkeypatch.delenv("CUDA_HOME", raising=False)
    monkeypatch.delenv("CUDA_PATH", raising=False)
    for release in ("12", "13"):
        (tmp_path / "torch" / "version.py").write_text(
            f"__version__ = '2.11.0'\ncuda: Optional[str] = '{release}.6'\n"
        )
        found = find.found()
        assert found["torch_cuda"] == f"{release}.6"
        assert [path[-2:] for path in found["libraries"]] == [release]


def test_the_launcher_needs_nothing_installed():
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(plan.LAUNCHER), "--find"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert '"libraries"' in done.stdout
