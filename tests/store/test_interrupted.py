"""^C while a thread of ours works on after its command has ended: one line, and no leftovers."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

WORKS_ON = """
import signal, sys, time
from pathlib import Path
from harness import cli
from harness.errors import CannotRead
from harness.run import background

signal.signal(signal.SIGINT, signal.default_int_handler)
half_done = Path(sys.argv[1])

def work():
    half_done.touch()
    try:
        for _ in range(600):
            time.sleep(0.05)
    finally:
        half_done.unlink()

def command(**_):
    background.begin(work)
    while not half_done.exists():
        time.sleep(0.01)
    {ends}

cli.cli.main = command
{more}
cli.main()
"""

BETWEEN = """
finish = background.finish
def interrupted():
    background.finish = finish
    raise KeyboardInterrupt
background.finish = interrupted
"""


def started(folder: Path, ends: str, more: str = "") -> subprocess.Popen[str]:
    script = WORKS_ON.format(ends=ends, more=more)
    return subprocess.Popen(
        [sys.executable, "-c", script, str(folder / "half-done")],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_between_the_commands_end_and_the_wait(tmp_path: Path) -> None:
    process = started(tmp_path, "return 0", BETWEEN)
    try:
        said = process.communicate(timeout=20)[1]
    finally:
        process.kill()
    assert (process.returncode, said) == (130, "harness: interrupted\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("times", [1, 3, 20])
def test_after_an_error_was_told(tmp_path: Path, times: int) -> None:
    """Python itself waits then, as it ends."""
    process = started(tmp_path, 'raise CannotRead("no such thing")')
    try:
        assert process.stderr is not None
        assert process.stderr.readline() == "harness: error: no such thing [cannot-read]\n"
        time.sleep(0.5)  # for the wait
        for _ in range(times):
            process.send_signal(signal.SIGINT)
            time.sleep(0.02 if times == 3 else 0)
        said = process.communicate(timeout=20)[1]
    finally:
        process.kill()
    assert (process.returncode, said) == (1, "")
    assert not list(tmp_path.iterdir())
