"""The scripts to copy: short, free of the harness, right, and recordable."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .test_profile import one, steps_in

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
TARGETS = {
    "minimal_loop": [],
    "training_loop": ["--width", "16", "--depth", "2", "--count", "60"],
    "article_baseline": ["--tiny", "--batch-size", "2", "--new-tokens", "55"],
    "article_pipelined": ["--tiny", "--batch-size", "2", "--new-tokens", "55"],
}


@pytest.mark.parametrize("name", TARGETS)
def test_short_and_on_its_own(name):
    text = (SCRIPTS / f"{name}.py").read_text()
    assert len(text.splitlines()) < 100
    assert not re.search(r"^\s*(import|from) (harness|analysis)", text, re.MULTILINE)


@pytest.mark.nsys
@pytest.mark.parametrize("name", TARGETS)
def test_recorded(nsys, harness, tmp_path, name):
    pytest.importorskip("torch", reason="torch is not installed: scripts not recorded")
    options = ("--device", "cpu", "--capture-range", "nvtx:capture")
    target = (sys.executable, SCRIPTS / f"{name}.py", *TARGETS[name])
    done = harness("profile", *options, "--", *target, OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr
    first = 0 if name == "minimal_loop" else 30
    expected = [f"Step {i}" for i in range(first, first + 20)]
    assert steps_in(one(tmp_path, ".sqlite")) == expected


def run_main(name: str, *args: str) -> tuple[int, str]:
    """Tokens made and their digest, from a script's own last words, in this process."""
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    said, argv = io.StringIO(), sys.argv
    sys.argv = [name, "--tiny", "--batch-size", "1", "--new-tokens", "24", *args]
    try:
        with contextlib.redirect_stdout(said):
            module.main()
    finally:
        sys.argv = argv
    found = re.fullmatch(r"(\d+) tokens x 1 rows in [\d.]+ ms, tokens (\w+)\n", said.getvalue())
    return int(found[1]), found[2]


def test_the_two_article_loops_make_the_same_tokens():
    pytest.importorskip("transformers", reason="transformers is not installed: not compared")
    torch = pytest.importorskip("torch", reason="torch is not installed: not compared")
    torch.set_num_threads(1)  # a tiny model on a busy machine: threads only get in their own way
    lengths = set()
    for eos in (-1, *range(0, 126, 9)):
        plain = run_main("article_baseline", f"--eos-id={eos}")
        assert run_main("article_pipelined", f"--eos-id={eos}") == plain
        lengths.add(plain[0])
    # Without an early stop among them the comparison would say nothing about stopping.
    assert 24 in lengths
    assert len(lengths) > 1, lengths


def test_a_loop_that_ends_inside_its_window_closes_it():
    done = subprocess.run(
        [sys.executable, SCRIPTS / "minimal_loop.py", "--count", "3"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("3 steps, ")
