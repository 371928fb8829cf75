"""From options to plans, on a GPU as on a CPU: nothing here needs either."""

import sys
from pathlib import Path

import pytest

from harness.capture.base import CaptureRange, Choice, interpreter
from harness.capture.nsys.backend import NsysBackend
from harness.capture.null import NullBackend
from harness.capture.plans import Output, Recorder, command_plan, strategy_plan
from harness.decode.workload import Workload
from harness.errors import UsageError

NSYS = NsysBackend()


def recorder(device, backend=NSYS, **options):
    return Recorder(Choice(backend, device, "as asked"), **options)


def plan(device="cuda", output=None, *, backend=NSYS, several=False, env=None, **workload):
    return strategy_plan(
        Workload(**{"strategy": "pipelined"} | workload),
        recorder(device, backend, graph_trace="node", tool="/opt/nsys"),
        output or Output(),
        several=several,
        env=env or {},
    )


def test_a_strategy_on_a_gpu():
    made = plan("cuda", batch_size=32)
    assert made.argv[:4] == (sys.executable, "-P", "-m", "harness.target")
    assert set(made.argv[4:]) == {"--strategy=pipelined", "--device=cuda", "--batch-size=32"}
    assert made.capture_range == CaptureRange("cudaProfilerApi")
    assert (made.device, made.graph_trace, made.tool) == ("cuda", "node", "/opt/nsys")
    assert made.own_target
    assert made.needs_steps
    assert made.number
    assert made.stem.startswith("pipelined-gpt2-b32-t100-2")
    assert made.output_dir == Path("traces")
    assert made.about["strategy"] == "pipelined"
    assert made.about["choices"]["stop_check"] == "pingpong"
    assert made.about["workload"]["device"] == "cuda"
    assert made.about["seeds"] == {"workload": 0}


def test_a_strategy_on_a_cpu():
    made = plan("cpu", model="some/local model")
    assert made.capture_range == CaptureRange("nvtx", "harness capture")
    assert "-local-model-b16-" in made.stem


def test_four_choices_without_a_name():
    made = plan(strategy=None, cache="static", stop_check="every-k")
    assert made.about["strategy"] == "static+eager+every-k"
    assert made.stem.startswith("static-eager-every-k-gpt2-")


def test_names():
    assert plan(output=Output(name="a")).stem == "a"
    assert plan(output=Output(name="a"), several=True).stem == "a-pipelined"
    assert plan(output=Output(name="a%q{X}"), env={"X": "7"}).stem == "a7"
    assert not plan(output=Output(name="a")).number


TWO = {"RANK": "1", "WORLD_SIZE": "2"}


def test_ranks():
    made = plan(output=Output(name="a"), env=TWO)
    assert (made.stem, made.rank, made.together) == ("a-rank1", 1, "a-rank*")
    made = plan(output=Output(name="a-%q{RANK}"), env=TWO)
    assert (made.stem, made.rank, made.together) == ("a-1", 1, "a-*")
    # %h differs from host to host: what all ranks' names have in common is around it.
    assert plan(output=Output(name="a%%-%h"), env=TWO).together == "a%-*-rank*"
    assert plan(output=Output(name="%h-%q{RANK}"), env=TWO).together == "*-*"
    made = plan(env=TWO)
    assert made.stem.endswith("-rank1")
    assert made.together == "pipelined-gpt2-b16-t100-*-rank*"
    assert plan().together is None


def test_no_window():
    with pytest.raises(UsageError, match="records nothing"):
        plan(steps=None)
    made = plan(steps=None, backend=NullBackend())
    assert not made.needs_steps
    assert "--steps=none" in made.argv


@pytest.mark.parametrize(
    ("argv", "stem"),
    [
        (("python", "a/my loop.py", "--n", "1"), "my-loop-2"),
        (("python3.12", "-u", "-m", "pkg.train", "x"), "pkg.train-2"),
        (("python", "-c", "pass"), "python-2"),
        (("./train.sh",), "train.sh-2"),
        (("torchrun", "x.py"), "torchrun-2"),
    ],
)
def test_names_of_commands(argv, stem):
    made = command_plan(argv, None, recorder("cuda"), Output(), env={})
    assert made.stem.startswith(stem)
    assert made.argv == argv
    assert not made.own_target


def test_ranges_of_commands():
    def made(device, given=None):
        return command_plan(("x",), given, recorder(device), Output(), env={}).capture_range

    assert made("cuda") == CaptureRange("auto")
    assert made("cpu") == CaptureRange("none")
    assert made("cuda", CaptureRange("nvtx", "a")) == CaptureRange("nvtx", "a")


def test_interpreters(tmp_path):
    def script(name, first):
        path = tmp_path / name
        path.write_text(f"{first}\n")
        path.chmod(0o755)
        return (str(path),)

    assert interpreter((sys.executable, "x")) == sys.executable
    assert interpreter(script("a", f"#!{sys.executable} -u")) == sys.executable
    assert interpreter(script("b", "#!/usr/bin/env -S python3 -u")).endswith("python3")
    assert interpreter(script("c", "#!/bin/sh")) is None
    assert interpreter(script("d", "\x7fELF")) is None
    assert interpreter(("no-such-program",)) is None
