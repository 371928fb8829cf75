"""`harness profile --capture cupti` as a user runs it, against a fake libcuda, libcupti and torch.

The shim, its callbacks, the launcher, the decoding and the reports are the real ones; the fake
libcupti lays its records out with NVIDIA's own structs.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from harness.capture.cupti import session
from harness.capture.cupti.session import GRAPH_FROM

from .conftest import missing

LOOP = """
import os, sys, time, torch, nvtx
before = dict(os.environ)
for i in range(30):
    if i == 5: torch.cuda.profiler.start()
    if i == 25: torch.cuda.profiler.stop()
    with nvtx.annotate(f"Step {i}"):
        with nvtx.annotate("Model Forward"):
            torch.cuda.launch("_ZN2at6native4reluIfEEvT_")
            torch.cuda.launch("gemm", 5000)
        torch.cuda.nvtx.range_push("Check Stop Condition")
        torch.cuda.synchronize()
        torch.cuda.nvtx.range_pop()
assert dict(os.environ) == before
print("argv", sys.argv, __name__, sys.path[0] == os.getcwd())
"""
NOTHING = "import torch\nprint('nothing')\n"


def rows(path, query):
    """All rows of a query."""
    base = sqlite3.connect(path)
    try:
        return base.execute(query).fetchall()
    finally:
        base.close()


def count(path, table):
    """Rows of a table, 0 where it does not exist."""
    if not rows(path, f"SELECT 1 FROM sqlite_master WHERE name = '{table}'"):
        return 0
    return rows(path, f"SELECT count(*) FROM {table}")[0][0]


def test_a_program_is_recorded_as_if_it_ran_alone(machine):
    done = machine.profile(LOOP)
    assert done.returncode == 0, done.stderr
    assert "argv ['my.py', 'one', 'two'] __main__ True" in done.stdout + done.stderr
    trace = machine.trace
    assert count(trace, "CUPTI_ACTIVITY_KIND_KERNEL") == 40
    assert count(trace, "CUPTI_ACTIVITY_KIND_RUNTIME") == 60
    assert count(trace, "CUPTI_ACTIVITY_KIND_SYNCHRONIZATION") == 20
    # In the program's own domain: its garbage collections have one of theirs.
    assert rows(trace, "SELECT count(*) FROM NVTX_EVENTS WHERE domainId = 0") == [(60,)]
    assert rows(
        trace,
        "SELECT DISTINCT d.value, s.value FROM CUPTI_ACTIVITY_KIND_KERNEL k JOIN StringIds d ON "
        "d.id = k.demangledName JOIN StringIds s ON s.id = k.shortName ORDER BY 2",
    ) == [("gemm", "gemm"), ("void at::native::relu<float>(float)", "relu")]
    metadata = dict(rows(trace, "SELECT name, value FROM META_DATA_EXPORT"))
    assert metadata["HARNESS_PRODUCER"] == "cupti"
    assert metadata["HARNESS_ORIGIN"] == "measured"
    capture = machine.manifest["capture"]
    assert (capture["backend"], capture["graph_trace"]) == ("cupti", "node")
    found = capture["completeness"]
    assert found["complete"] is True
    assert (found["launches"], found["kernels"]) == (40, 40)
    assert (found["ranges_issued"], found["ranges_found"]) == (60, 60)
    assert found["road"] == "shim"
    assert 0 <= found["clock_error_ns"] < 1_000_000


def test_gaps_are_split_by_step_as_in_any_trace(machine):
    machine.profile(LOOP)
    done = machine.harness("gaps", machine.trace, "--format", "json")
    assert done.returncode == 0, done.stderr
    (trace,) = json.loads(done.stdout)["traces"]
    assert (trace["producer"], trace["origin"]) == ("harness cupti", "measured")
    (device,) = trace["devices"]
    assert device["busy_ns"] == 20 * (1000 + 5000)
    (series,) = trace["series"]
    assert series["steady"]["steps"] == 18


def test_nsys_accepts_the_trace(machine):
    if shutil.which("nsys") is None:
        missing("nsys is not on PATH: NVIDIA's own reports of the trace are not tested")
    machine.profile(LOOP)
    for report in ("gpukernsum", "cudaapisum", "nvtxsum"):
        done = subprocess.run(
            ["nsys", "stats", "--report", report, "--format", "csv", str(machine.trace)],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert "SKIPPED" not in done.stdout
        wanted = {"gpukernsum": "gemm", "cudaapisum": "cudaLaunchKernel", "nvtxsum": "Step 5"}
        assert wanted[report] in done.stdout


@pytest.mark.parametrize("words", [("-m", "my"), ("-c", "exec(open('my.py').read())")])
def test_modules_and_code_run_as_well(machine, words):
    (machine.folder / "my.py").write_text(LOOP)
    done = machine.harness(
        "profile", "--capture", "cupti", "--name", "t", "--", sys.executable, *words
    )
    assert done.returncode == 0, done.stderr
    assert count(machine.trace, "CUPTI_ACTIVITY_KIND_KERNEL") == 40


def test_modules_beside_the_target_stand_in_for_none_of_ours(machine):
    theirs = machine.folder / "theirs"
    theirs.mkdir()
    ours = {path.stem for path in Path(session.__file__).parent.glob("*.py")} - {"__init__"}
    for name in (*ours, "harness", "analysis", "launcher", "capture", "json", "runpy"):
        (theirs / f"{name}.py").write_text("open('marks', 'a').write(__file__)")
    (theirs / "my.py").write_text(LOOP)
    done = machine.harness(
        "profile", "--capture", "cupti", "--name", "t", "--", sys.executable, "theirs/my.py"
    )
    assert done.returncode == 0, done.stderr
    assert count(machine.trace, "CUPTI_ACTIVITY_KIND_KERNEL") == 40
    assert not (machine.folder / "marks").exists()


def test_a_module_called_nvtx_may_be_the_targets_own(machine):
    (machine.folder / "nvtx.py").write_text("def mine(): return 1\n")
    script = "import nvtx, torch\ntorch.cuda.profiler.start()\ntorch.cuda.launch('gemm')\n"
    done = machine.profile(f"{script}torch.cuda.profiler.stop()\nprint(nvtx.mine())\n")
    assert done.returncode == 0, done.stderr
    assert count(machine.trace, "CUPTI_ACTIVITY_KIND_KERNEL") == 1


def test_a_target_started_without_its_folder_does_not_get_it(machine):
    (machine.folder / "my.py").write_text(LOOP)
    done = machine.harness(
        "profile", "--capture", "cupti", "--name", "t", "--", sys.executable, "-P", "my.py"
    )
    assert done.returncode == 0, done.stderr
    assert "argv ['my.py'] __main__ False" in done.stdout + done.stderr


def test_an_nvtx_range_is_the_window(machine):
    script = LOOP.replace("torch.cuda.profiler.start()", "window = nvtx.annotate('w').__enter__()")
    script = script.replace("torch.cuda.profiler.stop()", "window.__exit__(None, None, None)")
    done = machine.profile(script, "--capture-range", "nvtx:w")
    assert done.returncode == 0, done.stderr
    assert count(machine.trace, "CUPTI_ACTIVITY_KIND_KERNEL") == 40
    assert machine.manifest["capture"]["completeness"]["complete"] is True


def test_the_whole_program_is_the_window(machine):
    done = machine.profile(LOOP, "--capture-range", "none")
    assert done.returncode == 0, done.stderr
    assert count(machine.trace, "CUPTI_ACTIVITY_KIND_KERNEL") == 60


def test_a_second_session_is_ignored_and_told(machine):
    script = LOOP + "torch.cuda.profiler.start(); torch.cuda.launch('late')\n"
    done = machine.profile(script)
    assert done.returncode == 0, done.stderr
    assert count(machine.trace, "CUPTI_ACTIVITY_KIND_KERNEL") == 40
    assert any("later cudaProfilerStart ignored" in note for note in machine.manifest["notes"])


def test_graphs_as_a_whole_leave_out_those_before_the_range(machine):
    script = LOOP.replace('torch.cuda.launch("gemm", 5000)', "torch.cuda.launch_graph(5000)")
    done = machine.profile(script, "--graph-trace", "graph")
    assert done.returncode == 0, done.stderr
    assert count(machine.trace, "CUPTI_ACTIVITY_KIND_GRAPH_TRACE") == 20
    assert machine.manifest["capture"]["graph_trace"] == "graph"
    assert machine.manifest["capture"]["completeness"]["complete"] is True


@pytest.mark.parametrize("moment", GRAPH_FROM)
def test_graphs_enabled_at_any_moment_give_the_same_rows(machine, moment):
    script = LOOP.replace('torch.cuda.launch("gemm", 5000)', "torch.cuda.launch_graph(5000)")
    (machine.folder / "my.py").write_text(script)
    code = (
        "import sys; from pathlib import Path; from harness.capture.base import *\n"
        "from harness.capture.cupti.backend import CuptiBackend\n"
        "class Quiet:\n    stage = note = output = tick = lambda *a: None\n"
        "config = CaptureConfig((sys.executable, 'my.py'), 'cuda', Path('.').resolve(),\n"
        "    CaptureRange.parse('cudaProfilerApi'), 'graph')\n"
        "made = CuptiBackend('shim', graph_from=sys.argv[1]).record(config, Quiet())\n"
        "assert made.completeness['complete'], made\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, moment], cwd=machine.folder, env=machine.env,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    trace = machine.folder / "trace.sqlite"
    assert count(trace, "CUPTI_ACTIVITY_KIND_GRAPH_TRACE") == 20
    assert count(trace, "CUPTI_ACTIVITY_KIND_KERNEL") == 20


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"LOSE": "1"}, "1 of 40 launches have no kernel"),
        ({"LOSE": "2"}, "1 GPU rows have no valid time"),
        ({"FAKE_CUPTI_DROPPED": "3"}, "3 records were dropped"),
        ({"FAKE_CUPTI_STUCK": "1"}, "did not deliver its last records (result 999)"),
    ],
)
def test_what_is_missing_is_said(machine, env, words):
    lose = "'gemm', 5000, int(os.environ.get('LOSE', 0)) if i == 9 else 0"
    done = machine.profile(LOOP.replace('"gemm", 5000', lose), **env)
    assert done.returncode == 0, done.stderr
    found = machine.manifest["capture"]["completeness"]
    assert found["complete"] is False
    (note,) = [text for text in machine.manifest["notes"] if "incomplete" in text]
    assert words in note
    if "LOSE" in env:  # 13.0 is among the versions that are known to lose kernels
        assert "libcupti 130001" in note


def test_a_shifted_clock_is_measured_and_taken_out(machine):
    done = machine.profile(LOOP, FAKE_CUPTI_SHIFT="5000000")
    assert done.returncode == 0, done.stderr
    found = machine.manifest["capture"]["completeness"]
    assert found["clock_shift_ns"] == pytest.approx(5_000_000, abs=200_000)


@pytest.mark.parametrize(
    ("script", "options", "env", "code", "words"),
    [
        (LOOP, (), {"FAKE_CUPTI_TAKEN": "1"}, 125, "another CUPTI client is attached"),
        (LOOP, (), {"FAKE_CUDA_DRIVER": "12040"}, 125, "does not match the driver, which runs CUDA "
         "12.4"),
        (LOOP, (), {"NSYS_PROFILING_SESSION_ID": "7"}, 125, "Nsight Systems is already attached"),
        (LOOP, (), {"FAKE_CUPTI_VERSION": "28"}, 125, "the shim was built for 130001"),
        (LOOP, (), {"FAKE_CUPTI_REFUSES": "10"}, 125, "CUPTI could not record: enabling GPU rec"),
        (LOOP, ("--graph-trace", "graph"), {"FAKE_CUPTI_REFUSES": "51"}, 125,
         "CUPTI could not record: enabling graph records"),
        (LOOP.replace("if i == 5:", "if i == 5: torch.cuda.capturing = True;"), (), {}, 125,
         "the capture range begins inside a CUDA graph capture"),
        (NOTHING, (), {}, 125, "the program made no use of CUDA: nothing was recorded"),
        (NOTHING, ("--capture-range", "cudaProfilerApi"), {}, 125,
         "the capture range cudaProfilerApi never opened"),
        ("import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'import time\\n"
         "while time.process_time() < 1.2: pass'])\n", (), {}, 125, "child processes"),
        ("raise SystemExit(7)", (), {}, 7, "exited with code 7 before its window opened"),
        (LOOP.replace("if i == 25:", "if i == 9: os.abort()\n    if i == 25:"),
         ("--graph-trace", "graph"), {}, 134, "--graph-trace node"),
        (LOOP, ("--graph-trace", "graph"), {"FAKE_CUPTI_CRASHES": "10"}, 134,
         "exited with code 134 inside its window"),
    ],
    ids=["taken", "driver", "nsys", "headers", "refused", "graph-refused", "capturing",
         "no-cuda", "never-opened", "children", "own-code", "died-inside", "crash-at-start"],
)  # fmt: skip
def test_refusals_are_one_line(machine, script, options, env, code, words):
    done = machine.profile(script, *options, **env)
    assert done.returncode == code, done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("harness: error: ")]
    assert len(errors) >= 1
    assert words in errors[-1]
    assert "Traceback" not in done.stderr
    assert not machine.trace.exists()


def test_a_stream_capture_that_only_the_driver_sees_is_noted(machine):
    done = machine.profile(LOOP, FAKE_CUDA_CAPTURING="1")
    assert done.returncode == 0, done.stderr
    assert any("CUDA graph capture was in progress" in note for note in machine.manifest["notes"])


def test_parents_of_processes_are_refused(machine):
    done = machine.harness(
        "profile", "--capture", "cupti", "--", sys.executable, "-m", "torch.distributed.run", "x.py"
    )
    assert done.returncode == 125
    assert "starts the program as processes of its own" in done.stderr


def test_the_program_s_failure_after_its_range_keeps_the_trace_and_the_code(machine):
    done = machine.profile(LOOP + "raise SystemExit(9)\n")
    assert done.returncode == 9
    assert count(machine.trace, "CUPTI_ACTIVITY_KIND_KERNEL") == 40


def test_a_traceback_begins_in_the_program(machine):
    done = machine.profile(LOOP + "def f():\n    return 1 / 0\nf()\n")
    assert done.returncode == 1
    said = done.stdout + done.stderr
    lines = said[said.index("Traceback") :].splitlines()
    assert lines[1].strip().startswith('File "my.py"')
    assert "launcher.py" not in said


def test_forked_children_do_not_disturb_the_recording(machine):
    script = LOOP.replace(
        "if i == 25:",
        "if i == 9:\n        pid = os.fork()\n        if not pid:\n"
        "            torch.cuda.launch('child'); torch.cuda.profiler.stop(); os._exit(0)\n"
        "        os.waitpid(pid, 0)\n    if i == 25:",
    )
    done = machine.profile(script)
    assert done.returncode == 0, done.stderr
    assert count(machine.trace, "CUPTI_ACTIVITY_KIND_KERNEL") == 40


def test_an_interruption_keeps_what_was_recorded(machine):
    # The harness is the grandparent: a keeper of its own stands between.
    stat = "open(f'/proc/{os.getppid()}/stat').read().rpartition(')')[2].split()[1]"
    script = LOOP + f"import signal\nos.kill(int({stat}), signal.SIGINT)\ntime.sleep(30)\n"
    done = machine.profile(script)
    assert done.returncode == 130
    assert machine.manifest["capture"]["interrupted"] == "SIGINT"
    assert count(machine.trace, "CUPTI_ACTIVITY_KIND_KERNEL") == 40


def test_the_shim_is_compiled_once(machine):
    machine.profile(LOOP)
    cache = os.path.join(machine.env["XDG_CACHE_HOME"], "nsys-harness", "cupti")
    before = {name: os.stat(os.path.join(cache, name)).st_mtime_ns for name in os.listdir(cache)}
    machine.profile(LOOP)
    after = {name: os.stat(os.path.join(cache, name)).st_mtime_ns for name in os.listdir(cache)}
    assert [name for name in before if name.endswith(".so")]
    assert before == after
