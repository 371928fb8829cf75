"""Windows and lost ranges under the real nsys: the launcher opens the range that nsys waits for."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import platformdirs
import pytest

from harness.analysis.model.evidence import is_evidence

pytestmark = pytest.mark.nsys

LOOP = """
import os, sys, time
import nvtx
steps = int(sys.argv[1])
for i in range(steps):
    with nvtx.annotate(f"train_step {i}"):
        with nvtx.annotate("forward", domain="mine"):
            time.sleep(.004)
        time.sleep(.004)
    if i == 100:
        open("late", "w").write(str(os.getpid()))
print(f"ended by itself after {i + 1}")
sys.exit(3)
"""


def ranges(path):
    """Names of the program's push/pop ranges, in order: a collection that happened to run is noted
    among them."""
    base = sqlite3.connect(path)
    try:
        return [
            name
            for (name,) in base.execute(
                "SELECT COALESCE(e.text, s.value) FROM NVTX_EVENTS e LEFT JOIN StringIds s "
                "ON s.id = e.textId WHERE e.eventType = 59 ORDER BY e.start"
            )
            if not is_evidence(name)
        ]
    finally:
        base.close()


@pytest.fixture
def record(nsys, harness, tmp_path):
    """`harness profile --device cpu OPTIONS loop.py STEPS`; the traces are in traces/t.*."""

    def go(steps, *options, program=LOOP, **env):
        (tmp_path / "loop.py").write_text(program)
        return harness(
            "profile", "--device", "cpu", "--name", "t", "--force", *options, "loop.py", steps,
            VIRTUAL_ENV=sys.prefix, **env,
        )  # fmt: skip

    return go


def steps_in(tmp_path):
    return [name for name in ranges(tmp_path / "traces" / "t.sqlite") if name != "forward"]


def test_the_steps_asked_for_and_no_other(record, tmp_path):
    done = record(60, "--steps", "20:30")
    assert done.returncode == 3, done.stderr
    assert "ended by itself after 60" in done.stderr
    assert steps_in(tmp_path) == [f"train_step {i}" for i in range(20, 30)]
    manifest = json.loads((tmp_path / "traces" / "t.json").read_text())
    assert manifest["capture"]["range"] == "auto"
    assert manifest["capture"]["window"]["asked"] == "--steps 20:30"


def test_stopped_after_its_window(record, tmp_path):
    done = record(100_000, "--steps", "20:30", "--then", "stop")
    assert done.returncode == 0, done.stderr
    assert "ended by itself" not in done.stderr
    assert steps_in(tmp_path) == [f"train_step {i}" for i in range(20, 30)]


def test_a_second_from_the_first_steady_step(record, tmp_path):
    done = record(400, "--duration", "0.5")
    assert done.returncode == 3, done.stderr
    recorded = steps_in(tmp_path)
    first = int(recorded[0].split()[1])
    assert 3 <= first < 150
    assert recorded == [f"train_step {i}" for i in range(first, first + len(recorded))]
    assert 20 <= len(recorded) <= 65


def test_ctrl_c_after_the_window_keeps_it(nsys, tmp_path):
    (tmp_path / "loop.py").write_text(LOOP)
    process = subprocess.Popen(
        [sys.executable, "-m", "harness", "profile", "--device", "cpu", "--name", "t",
         "--steps", "20:30", "--", sys.executable, "loop.py", "100000"],
        cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not (tmp_path / "late").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert steps_in(tmp_path) == [f"train_step {i}" for i in range(20, 30)]


def test_a_program_that_is_no_python_is_recorded_by_the_clock(nsys, harness, tmp_path):
    done = harness(
        "profile", "--device", "cpu", "--name", "t", "--duration", "1", "--", "sleep", "30"
    )
    assert done.returncode == 0, done.stderr
    assert "nsys ended the program with its window" in done.stderr
    assert (tmp_path / "traces" / "t.sqlite").is_file()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--steps", "3:5", "--", "sleep", "9"), "--steps follows the ranges of a Python program"),
        (("--duration", "1", "--then", "go-on", "--", "sleep", "9"),
         "--then go-on needs a Python program"),
        (("--steps", "3:5", "--delay", "1", "--", "sleep", "9"), "exclude each other"),
        (("--steps", "3:5", "--capture-range", "nvtx:w", "--", "sleep", "9"),
         "--capture-range nvtx:w with one that the program opens"),
    ],
    ids=["steps", "go-on", "both", "range"],
)  # fmt: skip
def test_windows_that_cannot_be_are_refused_before_the_start(nsys, harness, options, words):
    done = harness("profile", "--device", "cpu", *options)
    assert done.returncode == 2
    assert words in done.stderr.splitlines()[-1]


def nvtx_release(version):
    """A folder with this release of nvtx, from a cache or the package index."""
    folder = Path(platformdirs.user_cache_dir("nsys-harness", appauthor=False), "test-wheels")
    folder /= f"nvtx-{version}-{sys.version_info[0]}{sys.version_info[1]}"
    if not folder.is_dir():
        download = folder.parent / f".{folder.name}.{time.time_ns()}"
        done = subprocess.run(
            [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:",
             "--disable-pip-version-check", "-d", str(download), f"nvtx=={version}"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        wheels = list(download.glob("*.whl"))
        if not wheels:
            pytest.skip(f"nvtx {version} cannot be fetched: {done.stderr.strip()[-200:]}")
        with zipfile.ZipFile(wheels[0]) as wheel:
            wheel.extractall(download / "unpacked")
        if not folder.is_dir():
            (download / "unpacked").rename(folder)
    return folder


COUNTED = """
import nvtx
lost = type(nvtx.get_domain("asked before the loop")).__name__
for i in range(500):
    with nvtx.annotate(f"Step {i}", color="blue"):
        pass
    nvtx.push_range("pushed", domain="mine")
    nvtx.pop_range(domain="mine")
    nvtx.end_range(nvtx.start_range("started"))
    domain = nvtx.get_domain("other")
    domain.push_range(domain.get_event_attributes("by domain", payload=i, category="kind"))
    domain.pop_range()
    nvtx.mark("marked")
print(lost)
"""


@pytest.mark.parametrize("version", ["0.2.12", "0.2.13", "0.2.17"])
def test_ranges_that_this_nsys_would_lose_are_recorded(record, tmp_path, version):
    site = nvtx_release(version)
    done = record(0, program=COUNTED, PYTHONPATH=str(site))
    assert done.returncode == 0, done.stderr
    base = sqlite3.connect(tmp_path / "traces" / "t.sqlite")
    found = base.execute(
        "SELECT rtrim(COALESCE(e.text, s.value), '0123456789'), eventType, count(*) "
        "FROM NVTX_EVENTS e LEFT JOIN StringIds s ON s.id = e.textId GROUP BY 1, 2"
    ).fetchall()
    base.close()
    ours = ("Step ", "pushed", "by domain", "started", "marked")
    assert sorted(row for row in found if row[0] in ours) == sorted(
        [("Step ", 59, 500), ("pushed", 59, 500), ("by domain", 59, 500), ("started", 60, 500),
         ("marked", 34, 500)]
    )  # fmt: skip
    manifest = json.loads((tmp_path / "traces" / "t.json").read_text())
    assert manifest["versions"]["nvtx"] == version


def test_a_window_opens_with_ranges_that_this_nsys_would_lose(record, tmp_path):
    done = record(60, "--steps", "20:30", PYTHONPATH=str(nvtx_release("0.2.17")))
    assert done.returncode == 3, done.stderr
    assert steps_in(tmp_path) == [f"train_step {i}" for i in range(20, 30)]
