"""Targets that fork, daemonise, print gigabytes and ignore SIGTERM; one name for two; a clock
that jumps."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.report.build import loop

from . import slow_nsys
from .machine import Started, all_gone, contents, processes, start, whole

GIGABYTES = 4 if os.environ.get("HARNESS_FAULTS") == "full" else 0.1
MOST_MEMORY = 400 << 20

# Children, grandchildren, and a daemon twice forked, deaf to SIGTERM, that holds our output open.
CROWD = """
import os, signal, sys, time
for _ in range(3):
    if os.fork() == 0:
        os.fork()
        time.sleep(100)
        os._exit(0)
if os.fork() == 0:
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.fork() == 0:
        os.write(1, b"daemon\\n")
        while True:
            time.sleep(1)
    os._exit(0)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.write(1, b"crowded\\n")
if sys.argv[1] == "die":
    os.kill(os.getpid(), signal.SIGKILL)
time.sleep(float(sys.argv[1]))
"""


@pytest.fixture(params=["null", "nsys"])
def recorder(request, tmp_path):
    """The options of a recording without a profiler, and with a stand-in for nsys."""
    if request.param == "null":
        return ("profile", "--capture", "null", "--name", "x")
    base = loop(tmp_path / "base.sqlite", steps=3)
    (tmp_path / "bin").mkdir()
    nsys = slow_nsys.install(tmp_path / "bin", base)
    return ("profile", "--nsys", nsys, "--device", "cpu", "--name", "x")


def python(code: str, *words: object) -> tuple[object, ...]:
    return ("--", sys.executable, "-c", code, *words)


def until_said(run: Started, word: str) -> None:
    end = time.monotonic() + 60
    while word not in "\n".join(run.words()):  # others may have written on its line
        assert run.process.poll() is None, run.words()
        assert time.monotonic() < end, run.words()
        time.sleep(0.02)


def test_a_crowd_is_ended_when_the_harness_is_killed(recorder, tmp_path):
    run = start(tmp_path, *recorder, *python(CROWD, 100))
    until_said(run, "crowded")
    end = time.monotonic() + 30  # it says so before its children have forked
    while len(processes(run.mark)) < 9 and time.monotonic() < end:
        time.sleep(0.05)
    assert len(processes(run.mark)) >= 9
    run.kill([run.process.pid])
    run.wait()
    assert all_gone(run.mark) == {}
    assert contents(tmp_path / "traces") == {}
    again = start(tmp_path, *recorder, "--", "true")
    assert again.wait() == 0, again.words()
    assert len(contents(tmp_path / "traces")) in (1, 3)


def test_a_crowd_is_ended_by_ctrl_c_twice(recorder, tmp_path):
    run = start(tmp_path, *recorder, *python(CROWD, 100))
    until_said(run, "crowded")
    for _ in range(2):
        run.process.send_signal(signal.SIGINT)
        time.sleep(0.3)
    assert run.wait() == 130
    assert all_gone(run.mark, seconds=5) == {}
    assert "interrupted by SIGINT" in run.words()[-1]


def test_a_target_that_is_killed_takes_its_crowd_with_it(recorder, tmp_path):
    run = start(tmp_path, *recorder, *python(CROWD, "die"))
    assert run.wait() == 137, run.words()
    assert all_gone(run.mark, seconds=5) == {}
    assert json.loads((tmp_path / "traces" / "x.json").read_text())["exit_code"] == 137


def test_a_keeper_that_is_killed_takes_everything_with_it(recorder, tmp_path):
    run = start(tmp_path, *recorder, *python(CROWD, 100))
    until_said(run, "crowded")
    run.kill(run.find("keeper.py", but=("-m harness",)))
    assert len(run.killed) == 1
    assert run.wait() == 125
    assert all_gone(run.mark, seconds=5) == {}
    assert "the process that watches over the recording was killed" in run.words()[-1]
    assert contents(tmp_path / "traces") == {}


def test_what_a_target_leaves_on_purpose_is_named_and_not_waited_for(recorder, tmp_path):
    run = start(tmp_path, *recorder, *python(CROWD, 0))
    assert run.wait() == 0, run.words()
    left = processes(run.mark)
    with contextlib.suppress(AssertionError):
        assert all_gone(run.mark, seconds=0) == {}
    crowd = [line for line in left.values() if "import os, signal" in line and "nsys" not in line]
    assert len(crowd) == 7
    if "nsys" in " ".join(map(str, recorder)):
        assert "the target left 7 process(es) running: python" in "\n".join(run.words())
    assert all("keeper.py" not in line for line in left.values())


PRINTER = """
import os, sys
line = b"x" * int(sys.argv[2]) + b"\\n"
block = line * (65536 // len(line) + 1)
for _ in range(int(sys.argv[1]) // len(block)):
    os.write(1, block)
"""

MEASURED = """
import resource, subprocess, sys
null = subprocess.DEVNULL
code = subprocess.call(sys.argv[1:], stdout=null, stderr=null)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(code, used.ru_maxrss, used.ru_utime + used.ru_stime)
"""
"""Between this process and the one measured: a child's peak begins with what its parent holds."""


@pytest.mark.parametrize("width", [1, 78, 1 << 20])
def test_a_target_that_prints_gigabytes(recorder, tmp_path, width):
    size = int(GIGABYTES * 2**30)
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, sys.executable, "-m", "harness", *map(str, recorder)]
        + [str(word) for word in python(PRINTER, size, width)],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        check=True,
    )
    code, peak_kb, seconds = map(float, done.stdout.split())
    assert code == 0
    assert peak_kb * 1024 < MOST_MEMORY
    written = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    assert written < 2 << 20
    print(f"{seconds / GIGABYTES:.1f} s of CPU time a GiB, {peak_kb / 1024:.0f} MiB")


def test_a_signal_is_heard_through_the_flood(recorder, tmp_path):
    run = start(tmp_path, *recorder, "--", "sh", "-c", "echo crowded; exec yes")
    until_said_in_flood(run)
    run.process.send_signal(signal.SIGTERM)
    begun = time.monotonic()
    assert run.wait() == 143
    assert time.monotonic() - begun < 30
    assert all_gone(run.mark, seconds=5) == {}


def until_said_in_flood(run: Started) -> None:
    """Wait for the flood without reading it whole; it is cut off again at once."""
    end = time.monotonic() + 60
    while run.said.stat().st_size < 1 << 20:
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("force", [False, True])
def test_several_recordings_into_one_name_at_once(tmp_path, force):
    options = ("--capture", "null", "--name", "x", *(["--force"] if force else []))
    runs = [
        start(tmp_path, "profile", *options, "--label", f"run {k}", "--", "sleep", "1")
        for k in range(4)
    ]
    codes = [run.wait() for run in runs]
    assert codes.count(0) >= 1
    for run, code in zip(runs, codes, strict=True):
        if code:
            assert code == 125
            said = run.words()[-1]
            assert "another recording is writing" in said or "x.json exists" in said, said
        assert all_gone(run.mark) == {}
    files = contents(tmp_path / "traces")
    assert files.keys() == {"x.json"}
    label = json.loads(files["x.json"])["label"]
    assert label in {f"run {k}" for k, code in enumerate(codes) if code == 0}


@pytest.fixture(scope="session")
def jumping_clock(tmp_path_factory) -> str:
    """A library that makes the wall clock jump an hour back and forth in whatever preloads it."""
    compiler = shutil.which("cc")
    if compiler is None:
        if os.environ.get("CI"):
            pytest.fail("no C compiler for the clock that jumps")
        pytest.skip("no C compiler: a clock that jumps was not checked")
    library = tmp_path_factory.mktemp("clock") / "clock.so"
    source = Path(__file__).parent / "clock.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True)
    code = "import time\nsaid = {round((time.time() - time.monotonic()) / 1800)\n"
    code += "        for _ in range(24) if not time.sleep(0.1)}\nprint(len(said))"
    told = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"LD_PRELOAD": str(library)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(told.stdout) >= 2, "the clock does not jump"
    return str(library)


def test_a_clock_that_jumps(recorder, tmp_path, jumping_clock):
    for k in range(2):
        options = [word if word != "x" else f"x{k}" for word in recorder]
        run = start(tmp_path, *options, "--", "sleep", "1.2", LD_PRELOAD=jumping_clock)
        assert run.wait() == 0, run.words()
        assert all_gone(run.mark) == {}
        manifest = json.loads((tmp_path / "traces" / f"x{k}.json").read_text())
        assert 1.2 <= manifest["durations_s"]["record"] < 60
        assert all(seconds >= 0 for seconds in manifest["durations_s"].values())
    for path in (tmp_path / "traces").iterdir():
        assert path.suffix == ".nsys-rep" or whole(path)


def test_names_made_of_a_clock_that_stands_still_or_runs_back(tmp_path, monkeypatch):
    """Default names hold the time: one that comes again is counted up, and nothing is replaced."""
    shim = tmp_path / "shim"
    shim.mkdir()
    (shim / "sitecustomize.py").write_text(
        "import datetime\n"
        "class Still(datetime.datetime):\n"
        "    @classmethod\n"
        "    def now(cls, tz=None):\n"
        "        return cls(2026, 1, 1, tzinfo=tz)\n"
        "datetime.datetime = Still\n"
    )
    for _ in range(3):
        run = start(tmp_path, "profile", "--capture", "null", "--", "true", PYTHONPATH=str(shim))
        assert run.wait() == 0, run.words()
    names = sorted(path.stem for path in (tmp_path / "traces").glob("*.json"))
    assert len(names) == 3, names
    assert [name.removeprefix(names[0]) for name in names] == ["", "-2", "-3"]


def test_an_export_in_the_cache_is_told_by_the_report_not_by_the_time(
    tmp_path, monkeypatch, capsys
):
    """A clock that ran back gives a changed report an older date: it is exported again."""
    from harness.run.exports import exported

    bases = [loop(tmp_path / f"{k}.sqlite", steps=3 + k) for k in range(2)]
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    report = tmp_path / "run.nsys-rep"
    found = []
    for k, base in enumerate(bases):
        folder = tmp_path / f"bin{k}"
        folder.mkdir()
        nsys = slow_nsys.install(folder, base)
        report.write_text("report")
        os.utime(report, (10**9 - 3600 * k, 10**9 - 3600 * k))
        found.append(exported(report, nsys).read_bytes())
    assert found == [base.read_bytes() for base in bases]
