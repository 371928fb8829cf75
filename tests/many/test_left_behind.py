"""What a killed or interrupted run leaves does not stay, and none ends in a traceback."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from harness.run import exports

from .conftest import RECORDING

# It says so when nothing else is left to wait for: before that, click ends a ^C with a blank line.
SLOW_TO_KEEP = """
import sys, threading, time, traceback
from harness.analysis.store import save

def keep(*given):
    main = threading.main_thread().ident
    inside = set()
    while not {"finish", "wait"} <= inside:
        time.sleep(0.01)
        inside = {frame.name for frame in traceback.extract_stack(sys._current_frames()[main])}
    print("keeping", file=sys.stderr, flush=True)
    time.sleep(600)

save.save_trace = keep
from harness.cli import main
main()
"""


def test_an_interrupt_ends_the_keeping_of_a_trace(tmp_path: Path) -> None:
    trace = tmp_path / "large.sqlite"
    trace.write_bytes(RECORDING.read_bytes())
    with closing(sqlite3.connect(trace)) as base, base:
        base.execute("CREATE TABLE padding (bytes)")
        base.execute("INSERT INTO padding VALUES (zeroblob(25000000))")
    run = subprocess.Popen(
        [sys.executable, "-c", SLOW_TO_KEEP, "gaps", str(trace), "--format", "csv"],
        env=os.environ | {"HARNESS_CACHE": str(tmp_path / "cache")},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert run.stdout is not None
    assert run.stderr is not None
    assert run.stdout.readline().startswith("strategy,")  # the figures are out already
    assert run.stderr.readline() == "keeping\n"
    run.send_signal(signal.SIGINT)
    _, said = run.communicate()
    assert (run.returncode, said) == (130, "harness: interrupted\n")


def test_what_killed_exports_left_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    old, new, kept = (exports.exports_folder() / name for name in (".export-a", ".export-b", "c"))
    for folder in (old, new, kept):
        folder.mkdir(parents=True)
    os.utime(old, (0, 0))
    exports._prune(keep=kept)
    assert not old.exists()
    assert new.exists()
    assert kept.exists()
