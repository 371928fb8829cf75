"""A program that says nothing of profilers is recorded: where the window opens, and closes.

The launcher, the shim and the window are the real ones; CUDA is the fake of conftest.py.
"""

from __future__ import annotations

import re
import sqlite3
import sys
from pathlib import Path

import pytest

from harness.analysis.model.evidence import is_evidence

from ..capture import fake_nsys

# MODE says how the steps show; each is about 10 ms. Ends with a code of its own.
PROGRAM = """
import sys, time, torch, nvtx
mode, steps = sys.argv[1], int(sys.argv[2])
def work():
    for _ in range(10):
        torch.cuda.launch("gemm", 5000)
        time.sleep(.001)
for i in range(steps):
    if mode == "annotate":
        with nvtx.annotate(f"train_step {i}"): work()
    elif mode == "torch":
        torch.cuda.nvtx.range_push(f"Step {i}"); work(); torch.cuda.nvtx.range_pop()
    elif mode == "domain":
        with nvtx.annotate(f"iteration {i}", domain="mine"): work()
    elif mode == "forward":
        with nvtx.annotate("forward"): work()
    else:
        work()
print(f"ended by itself after {i + 1}")
sys.exit(3)
"""


@pytest.fixture
def run(machine):
    """`harness profile OPTIONS program.py MODE STEPS` on the fake machine."""

    def go(mode, steps, *options, program=PROGRAM, **env):
        Path(machine.folder, "program.py").write_text(program)
        return machine.harness(
            "profile", "--capture", "cupti", "--name", "t", "--force", *options,
            "program.py", mode, steps, VIRTUAL_ENV=sys.prefix, **env,
            PATH=f"{Path(sys.executable).parent}:{machine.env['PATH']}",
        )  # fmt: skip

    return go


def names(machine):
    """The step ranges recorded, in order; not those of garbage collections."""
    base = sqlite3.connect(machine.trace)
    try:
        found = base.execute(
            "SELECT COALESCE(e.text, s.value) FROM NVTX_EVENTS e LEFT JOIN StringIds s "
            "ON s.id = e.textId WHERE e.eventType IN (59, 60) ORDER BY e.start"
        ).fetchall()
        return [name for (name,) in found if not is_evidence(name)]
    finally:
        base.close()


def rows(machine, table):
    base = sqlite3.connect(machine.trace)
    try:
        return base.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    finally:
        base.close()


def with_own_window(first, last):
    """The program, with calls of its own around these steps."""
    calls = f"    if i == {first}: torch.cuda.profiler.start()\n"
    calls += f"    if i == {last}: torch.cuda.profiler.stop()\n"
    return PROGRAM.replace("    if mode", f"{calls}    if mode", 1)


@pytest.mark.parametrize(
    ("mode", "name"), [("annotate", "train_step"), ("torch", "Step"), ("domain", "iteration")]
)
def test_the_steps_asked_for_are_recorded_and_no_other(machine, run, mode, name):
    done = run(mode, 40, "--steps", "20:30")
    assert done.returncode == 3, done.stderr
    assert "ended by itself after 40" in done.stdout + done.stderr
    assert names(machine) == [f"{name} {i}" for i in range(20, 30)]
    assert rows(machine, "CUPTI_ACTIVITY_KIND_KERNEL") == 100
    assert machine.manifest["capture"]["completeness"]["complete"] is True
    assert f"--steps 20:30 of '{name} N'" in done.stderr
    assert machine.manifest["capture"]["window"]["steps"] == [20, 30]


def test_stopping_the_program_ends_it_with_0_and_runs_its_own_cleanup(machine, run):
    program = "import atexit\natexit.register(print, 'cleaned up')\n" + PROGRAM
    done = run("annotate", 100_000, "--steps", "20:30", "--then", "stop", program=program)
    assert done.returncode == 0, done.stderr
    assert "cleaned up" in done.stdout + done.stderr
    assert "ended by itself" not in done.stdout + done.stderr
    assert names(machine) == [f"train_step {i}" for i in range(20, 30)]
    assert any("--then stop" in note for note in machine.manifest["notes"])


def test_by_default_it_is_the_first_steady_second_of_steps(machine, run):
    done = run("annotate", 300)
    assert done.returncode == 3, done.stderr
    recorded = names(machine)
    first = int(recorded[0].split()[1])
    assert 3 <= first <= 100
    assert recorded == [f"train_step {i}" for i in range(first, first + len(recorded))]
    assert 12 <= len(recorded) <= 150
    assert "when their times agreed" in done.stderr
    assert "the program goes on: Ctrl-C ends it" in done.stderr


@pytest.mark.parametrize("mode", ["none", "forward"])
def test_without_steps_it_is_a_second_once_the_pace_has_settled(machine, run, mode):
    done = run(mode, 400)
    assert done.returncode == 3, done.stderr
    assert "when its pace had settled" in done.stderr
    kernels = rows(machine, "CUPTI_ACTIVITY_KIND_KERNEL")
    assert 300 <= kernels <= 1000  # of 4000: one second of 1 ms and more each
    assert machine.manifest["capture"]["completeness"]["complete"] is True


def test_delay_and_duration_are_kept(machine, run):
    done = run("none", 400, "--delay", "1.5", "--duration", "500ms")
    assert done.returncode == 3, done.stderr
    (said,) = re.findall(r"recorded (\S+) s", done.stderr)
    assert 0.5 <= float(said) < 0.8
    assert rows(machine, "CUPTI_ACTIVITY_KIND_KERNEL") < 600


def test_the_programs_own_window_is_the_one(machine, run):
    program = with_own_window(60, 70)
    done = run("annotate", 90, program=program)
    assert done.returncode == 3, done.stderr
    assert names(machine) == [f"train_step {i}" for i in range(60, 70)]
    assert "calls cudaProfilerStart: its own window is waited for" in done.stderr


def test_a_window_of_the_command_line_stands_above_the_programs_own(machine, run):
    program = with_own_window(5, 70)
    done = run("annotate", 90, "--steps", "20:30", program=program)
    assert done.returncode == 3, done.stderr
    assert names(machine) == [f"train_step {i}" for i in range(20, 30)]


def test_steps_of_a_name_of_ones_own(machine, run):
    done = run("forward", 60, "--steps", "20:30", "--step", "forw*")
    assert done.returncode == 3, done.stderr
    assert names(machine) == ["forward"] * 10
    assert rows(machine, "CUPTI_ACTIVITY_KIND_KERNEL") == 100


def test_a_window_waits_for_the_end_of_a_graph_capture(machine, run):
    program = PROGRAM.replace("    if mode", "    torch.cuda.capturing = i < 25\n    if mode", 1)
    done = run("annotate", 60, "--steps", "20:30", program=program)
    assert done.returncode == 3, done.stderr
    assert names(machine) == [f"train_step {i}" for i in range(25, 30)]


def test_the_analysis_is_asked_as_gaps_is(machine, run):
    done = run("forward", 60, "--steps", "20:50", "--step", "forw*", "--format", "json")
    assert done.returncode == 3, done.stderr
    assert '"series"' in done.stdout
    done = run("forward", 60, "--steps", "20:50", "--step-regex", "(", "--format", "json")
    assert done.returncode == 2
    assert "is not a regular expression" in done.stderr
    assert "recording" not in done.stderr


@pytest.mark.parametrize(
    ("mode", "steps", "options", "words"),
    [
        ("annotate", 10, ("--steps", "20:30"),
         "the steps 'train_step N' went from 0 to 9, --steps 20:30 lies beyond them"),
        ("forward", 10, ("--steps", "5:8"),
         "no range of the program is a step; ranges seen: 'forward' x 10: nothing was recorded; "
         "name its steps with --step GLOB"),
        ("none", 3, (), "the program ended before its pace had settled: nothing was recorded; "
         "--capture-range none records all of it"),
        ("none", 3, ("--delay", "50"), "the program ended before --delay 50 was over"),
    ],
    ids=["beyond", "no-steps", "short", "delay"],
)  # fmt: skip
def test_a_window_that_never_opened_says_why(machine, run, mode, steps, options, words):
    program = PROGRAM.replace("sys.exit(3)", "")
    done = run(mode, steps, *options, program=program)
    assert done.returncode == 125, done.stderr
    assert words in done.stderr.splitlines()[-1]
    assert not machine.trace.exists()


# Says when the range opens and closes that nsys waits for.
TELLS = PROGRAM.replace(
    "mode, steps =",
    """
class Said:
    fake_launch = fake_wait = staticmethod(lambda *a: None)
    fake_profiler = staticmethod(lambda on: print("RANGE", "on" if on else "off", i, flush=True))
torch._library = lambda: Said
i = -1
mode, steps =""",
)


@pytest.mark.parametrize(
    ("mode", "steps", "options", "words"),
    [
        ("annotate", 60, ("--steps", "20:30"), r"RANGE on 20\nRANGE off 30\n"),
        ("torch", 60, ("--steps", "20:30"), r"RANGE on 20\nRANGE off 30\n"),
        ("annotate", 60, (), r"RANGE on \d\d?\nRANGE off 59\n"),
        ("none", 450, (), r"RANGE on \d+\nRANGE off \d+\n"),
        ("own", 60, (), r"RANGE on 20\nRANGE off 30\n"),
    ],
    ids=["steps", "torch", "steady", "clock", "own"],
)
def test_under_nsys_the_same_window_opens_its_range(
    machine, run, tmp_path, mode, steps, options, words
):
    program = TELLS
    if mode == "own":
        program = with_own_window(20, 30).replace("mode, steps =", TELLS[TELLS.index("class Said"):
            TELLS.index("mode, steps =")] + "mode, steps =")  # fmt: skip
    nsys = fake_nsys.install(tmp_path / "bin", version="2025.3.1.90")
    done = run(mode, steps, "--capture", "nsys", "--nsys", nsys, *options, program=program)
    assert done.returncode == 3, done.stderr
    said = "".join(re.findall(r"RANGE .*\n", done.stdout + done.stderr))
    assert re.fullmatch(words, said), said
    assert machine.manifest["capture"]["backend"] == "nsys"
    assert "--capture-range=cudaProfilerApi" in machine.manifest["capture"]["options"]


def test_a_window_that_fails_leaves_the_program_alone(machine, run):
    broken = "def broken(): raise RuntimeError('CUDA error')\n"
    broken += "torch.cuda.is_current_stream_capturing = broken\n"
    program = PROGRAM.replace("mode, steps =", f"{broken}mode, steps =").replace("sys.exit(3)", "")
    for options in (("--steps", "20:30"), ("--delay", "0.2")):
        done = run("annotate", 40, *options, program=program)
        assert "ended by itself after 40" in done.stdout + done.stderr
        assert done.returncode == 125, done.stderr
        last = done.stderr.splitlines()[-1]
        assert "the window could not be opened: RuntimeError: CUDA error: nothing was" in last


@pytest.mark.parametrize("block", ["", "except BaseException: pass", "finally: print('tidied')"])
def test_a_program_is_stopped_by_the_clock_too(machine, run, block):
    program = PROGRAM
    if block:
        body, loop = PROGRAM.split("for i in range(steps):\n")
        loop, end = loop.split("print(")
        inner = "".join(f"    {line}\n" for line in loop.splitlines())
        program = f"{body}for i in range(steps):\n  try:\n{inner}  {block}\nprint({end}"
    if "pass" in block:
        program = program.replace("pass", "sys.exit(0)")
    done = run("none", 100_000, "--duration", "0.5", "--then", "stop", program=program)
    assert done.returncode == 0, done.stderr
    assert "ended by itself" not in done.stdout + done.stderr
    assert ("tidied" in done.stdout + done.stderr) == ("tidied" in block)
    assert rows(machine, "CUPTI_ACTIVITY_KIND_KERNEL") < 700
    assert "SystemError" not in done.stderr


def test_a_program_that_waits_in_its_main_thread_is_stopped_all_the_same(machine, run):
    program = PROGRAM.replace("for i in range(steps):", "def loop():\n  for i in range(steps):")
    head, tail = program.split("  for i in range(steps):\n")
    tail, end = tail.split("print(")
    inner = "".join(f"  {line}\n" for line in tail.splitlines())
    program = f"{head}  for i in range(steps):\n{inner}import threading\n"
    program += "thread = threading.Thread(target=loop, daemon=True)\nthread.start()\n"
    program += f"thread.join()\ni = steps\nprint({end}"
    done = run("none", 100_000, "--duration", "0.5", "--then", "stop", program=program)
    assert done.returncode == 0, done.stderr
    assert rows(machine, "CUPTI_ACTIVITY_KIND_KERNEL") < 3000


def test_what_does_not_happen_is_said_while_the_program_runs(machine, run):
    done = run("none", 1, program="import time\ntime.sleep(22)\n")
    assert done.returncode == 125
    assert "no CUDA work seen in 20 s; the recording waits for it [nothing-yet]" in done.stderr
    assert "the program made no use of CUDA" in done.stderr.splitlines()[-1]
