"""A job of torchrun, recorded by a real nsys, passed on by `harness scrub`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.scrub.scrub import scrub

from .nvidia import Nsys

pytestmark = pytest.mark.nsys

SECRET = "canary-0f3c-torchrun"
PROGRAM = """
import nvtx, torch
import torch.distributed as dist

dist.init_process_group("gloo")
x = torch.ones(8, 8)
for step in range(4):
    with nvtx.annotate(f"Step {step}"):
        dist.all_reduce(x)
dist.destroy_process_group()
"""


def test_a_trace_of_torchrun_is_scrubbed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads are called like the program that was started, and names stay."""
    pytest.importorskip("torch", reason="torch is not installed: nothing for torchrun to start")
    monkeypatch.setenv("MY_TOKEN", SECRET)
    program = tmp_path / "loop.py"
    program.write_text(PROGRAM)
    launcher = Path(sys.executable).with_name("torchrun")
    command = [str(launcher), "--standalone", "--nproc-per-node", "2", str(program)]
    sqlite = Nsys.find(tmp_path).record(command)
    assert SECRET.encode() in sqlite.read_bytes()
    done = scrub(sqlite, tmp_path / "clean.sqlite")
    assert "TARGET_INFO_SYSTEM_ENV" in dict(done.emptied)
    assert SECRET.encode() not in (tmp_path / "clean.sqlite").read_bytes()
    told = subprocess.run(
        [sys.executable, "-m", "harness", "gaps", str(tmp_path / "clean.sqlite")],
        capture_output=True, text=True, check=False, env=dict(os.environ),
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    assert told.stdout.count(" 4 ") >= 2
