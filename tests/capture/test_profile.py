"""Real recordings with the real nsys, as a user makes them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .test_processes import alive

pytestmark = pytest.mark.nsys

# A tiny model on a busy machine: more threads only get in their own way.
ONE_THREAD = {"OMP_NUM_THREADS": "1"}

# Twenty steps in a window, more outside it; says when it is inside; ends with a code of its own.
LOOP = """
import os, signal, sys, time
import nvtx
mode, code = sys.argv[1], int(sys.argv[2])
if mode == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
if mode == "daemon" and os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open("daemon.pid", "w").write(str(os.getpid()))
        time.sleep(300)
    os._exit(0)
with nvtx.annotate("Step 0"):
    time.sleep(0.001)
with nvtx.annotate("window"):
    for i in range(1, 21):
        with nvtx.annotate(f"Step {i}"):
            time.sleep(0.002)
    if mode in ("long", "deaf"):
        open("inside", "w").write(str(os.getpid()))
        time.sleep(60)
with nvtx.annotate("Step 21"):
    time.sleep(0.001)
sys.exit(code)
"""


@pytest.fixture
def loop(tmp_path):
    path = tmp_path / "my loop.py"
    path.write_text(LOOP)
    return path


def steps_in(sqlite: Path) -> list[str]:
    query = (
        "SELECT COALESCE(s.value, n.text) FROM NVTX_EVENTS n "
        "LEFT JOIN StringIds s ON s.id = n.textId WHERE n.end IS NOT NULL ORDER BY n.start"
    )
    with contextlib.closing(sqlite3.connect(sqlite)) as base:
        return [name for (name,) in base.execute(query) if name.startswith("Step")]


def one(tmp_path: Path, suffix: str) -> Path:
    (found,) = (tmp_path / "traces").glob(f"*{suffix}")
    return found


def command(loop: Path, mode: str = "plain", code: int = 0) -> list[str]:
    return ["--", sys.executable, loop.name, mode, str(code)]


def test_a_strategy_on_the_cpu(nsys, harness, tmp_path):
    asked = ("--strategy", "kv-cache", "--device", "cpu", "--model", "tiny")
    done = harness("profile", *asked, **ONE_THREAD)
    assert done.returncode == 0, done.stderr
    report, sqlite, described = (one(tmp_path, end) for end in (".nsys-rep", ".sqlite", ".json"))
    assert len(list((tmp_path / "traces").iterdir())) == 3
    assert report.stat().st_size > 10_000
    assert steps_in(sqlite) == [f"Step {i}" for i in range(30, 50)]

    manifest = json.loads(described.read_text())
    assert manifest["manifest_version"] == 1
    assert manifest["origin"] == "measured"
    assert manifest["strategy"] == "kv-cache"
    assert manifest["choices"]["cache"] == "dynamic"
    assert manifest["workload"]["steps"] == [30, 50]
    assert manifest["steps_recorded"] == 20
    assert manifest["capture"]["completeness"] == {"ranges_issued": 20, "ranges_found": 20}
    assert "--nvtx-capture=harness capture@*" in manifest["capture"]["options"]
    assert manifest["result"]["steps"]["executed"] == 100
    assert manifest["versions"]["torch"]
    assert not set(manifest) & {"environment", "env"}

    # The summary is on standard output, and says that there is no GPU in it.
    assert "kv-cache" in done.stdout
    assert "host-only" in done.stdout
    assert f"harness gaps traces/{sqlite.name}" in done.stderr
    assert f"harness open traces/{report.name}" in done.stderr

    gaps = harness("gaps", sqlite, "--format", "json")
    assert gaps.returncode == 0, gaps.stderr
    assert json.loads(gaps.stdout)["schema_version"]


def test_several_strategies_under_one_name(nsys, harness, tmp_path):
    strategies = ["--strategy", "static-cache", "--strategy", "deferred"]
    shape = ["--max-new-tokens", "12", "--steps", "2:10", "--batch-size", "2"]
    shape += ["--warmup-steps", "1"]
    fixed = ["--device", "cpu", "--model", "tiny", "--name", "run"]
    done = harness("profile", *strategies, *shape, *fixed, **ONE_THREAD)
    assert done.returncode == 0, done.stderr
    for strategy in ("static-cache", "deferred"):
        sqlite = tmp_path / "traces" / f"run-{strategy}.sqlite"
        assert steps_in(sqlite) == [f"Step {i}" for i in range(2, 10)]
        assert strategy in done.stdout


def test_the_target_exit_code_and_the_window(nsys, harness, tmp_path, loop):
    done = harness(
        *("profile", "--device", "cpu", "--capture-range", "nvtx:window", "--name", "it's"),
        *command(loop, code=42),
    )
    assert done.returncode == 42, done.stderr
    assert steps_in(tmp_path / "traces" / "it's.sqlite") == [f"Step {i}" for i in range(1, 21)]
    assert json.loads((tmp_path / "traces" / "it's.json").read_text())["exit_code"] == 42


def test_a_target_that_never_opens_the_range(nsys, harness, tmp_path, loop):
    done = harness("profile", "--device", "cpu", "--capture-range", "nvtx:windwo", *command(loop))
    assert done.returncode == 125
    assert "range nvtx:windwo never opened" in done.stderr.splitlines()[-1]
    assert list((tmp_path / "traces").iterdir()) == []


def test_an_executable_that_is_no_program(nsys, harness, tmp_path):
    path = tmp_path / "script"
    path.write_text("echo hi\n")
    path.chmod(0o755)
    done = harness("profile", "--device", "cpu", "--", path)
    assert done.returncode == 126, done.stderr
    assert "give it a '#!' line" in done.stderr.splitlines()[-1]


def start(tmp_path: Path, loop: Path, mode: str) -> subprocess.Popen[str]:
    """`harness profile` with a target that sits inside the window; returns when it does."""
    argv = [sys.executable, "-m", "harness", "profile", "--device", "cpu", "--name", "x"]
    argv += ["--capture-range", "nvtx:window", *command(loop, mode)]
    process = subprocess.Popen(
        argv, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 30
    while not (tmp_path / "inside").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.2)
    return process


@pytest.mark.parametrize(
    ("mode", "number", "code"), [("long", signal.SIGINT, 130), ("deaf", signal.SIGTERM, 143)]
)
def test_a_signal_in_the_middle_keeps_what_was_recorded(nsys, tmp_path, loop, mode, number, code):
    process = start(tmp_path, loop, mode)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code, said
    assert f"x: {number.name}: nsys may take up to 60 s to keep what it has" in said
    assert steps_in(one(tmp_path, ".sqlite")) == [f"Step {i}" for i in range(1, 21)]
    manifest = json.loads(one(tmp_path, ".json").read_text())
    assert manifest["capture"]["interrupted"] == number.name
    assert manifest["exit_code"] == code
    assert not alive(int((tmp_path / "inside").read_text()))
    assert sorted(path.suffix for path in (tmp_path / "traces").iterdir()) == [
        ".json",
        ".nsys-rep",
        ".sqlite",
    ]


def test_a_daemon_of_the_target_does_not_hold_the_recording_up(nsys, harness, tmp_path, loop):
    done = harness(
        *("profile", "--device", "cpu", "--capture-range", "nvtx:window"),
        *command(loop, "daemon", 3),
    )
    assert done.returncode == 3, done.stderr
    pid = int((tmp_path / "daemon.pid").read_text())
    assert alive(pid)
    os.kill(pid, signal.SIGKILL)
    assert f"python (pid {pid})" in done.stderr.replace(Path(sys.executable).name, "python")


def test_two_recordings_into_one_name_at_once(nsys, tmp_path, loop):
    argv = [sys.executable, "-m", "harness", "profile", "--device", "cpu", "--name", "x"]
    argv += ["--capture-range", "nvtx:window", *command(loop)]
    both = [
        subprocess.Popen(argv, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=60)[1].decode() for process in both]
    assert sorted(process.returncode for process in both) == [0, 125], said
    assert any("another recording is writing" in text or "exists" in text for text in said)
    names = sorted(path.name for path in (tmp_path / "traces").iterdir())
    assert names == ["x.json", "x.nsys-rep", "x.sqlite"]
    assert len(steps_in(tmp_path / "traces" / "x.sqlite")) == 20


def silent_nvtx(folder: Path) -> str:
    """A stand-in for nvtx 0.2.13 under an old nsys: it takes annotations and sends none."""
    package = folder / "nvtx"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(
        "import contextlib\n"
        "class annotate(contextlib.ContextDecorator):\n"
        "    def __init__(self, *args, **kwargs): pass\n"
        "    def __enter__(self): return self\n"
        "    def __exit__(self, *args): pass\n"
        "def enabled(): return True\n"
        "class DummyDomain: pass\n"
        "def get_domain(name=None): return DummyDomain()\n"
    )
    about = folder / "nvtx-0.2.13.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: nvtx\nVersion: 0.2.13\n")
    return str(folder)


def test_an_nvtx_that_sends_nothing(nsys, harness, tmp_path, loop):
    path = silent_nvtx(tmp_path / "site")
    done = harness(
        *("profile", "--device", "cpu", "--capture-range", "nvtx:window"),
        *command(loop),
        PYTHONPATH=path,
    )
    assert done.returncode == 125
    last = done.stderr.splitlines()[-1]
    assert "nvtx 0.2.13 records no ranges under nsys" in last
    assert "nvtx<0.2.12" in last
    whole = harness("profile", "--device", "cpu", *command(loop), PYTHONPATH=path)
    assert whole.returncode == 0
    assert "nvtx 0.2.13 records no ranges under nsys" in whole.stderr


def test_doctor(nsys, harness, tmp_path):
    done = harness("doctor", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    status = {check["name"]: check["status"] for check in found["checks"]}
    assert found["can_record"] is True
    assert [status[name] for name in ("nsys", "importer", "recording", "nvtx")] == ["ok"] * 4
    nvtx = next(check for check in found["checks"] if check["name"] == "nvtx")
    assert "200 of 200 ranges recorded" in nvtx["found"]
    assert [path for path in tmp_path.iterdir() if path.name != ".nv"] == []


def test_doctor_finds_the_pair_that_records_nothing(nsys, harness, tmp_path):
    done = harness("doctor", PYTHONPATH=silent_nvtx(tmp_path / "site"))
    assert done.returncode == 1
    assert "0 of 200 ranges recorded" in done.stdout
    assert "-> pip install 'nvtx<0.2.12'" in done.stdout
    assert "nothing can be recorded here" in done.stderr
