"""docs/tutorial.md from the first command to the last, in one folder: what it shows, comes."""

from __future__ import annotations

import contextlib
import glob
import io
import re
import runpy
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from ..conftest import ROOT
from . import sandbox
from .commands import shown
from .pages import FENCE, text

PAGE = "docs/tutorial.md"
SCRIPTS = {
    mark.strip().removeprefix("file="): code
    for _, mark, code in FENCE.findall(text(PAGE))
    if mark.strip().startswith("file=")
}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The reader's folder: the scripts saved, the recordings of the repository beside them."""
    torch = pytest.importorskip("torch", reason="torch is not installed: tutorial not followed")
    torch.set_num_threads(1)
    for name, code in SCRIPTS.items():
        (tmp_path / name).write_text(code)
    (tmp_path / "traces").mkdir()
    for path in glob.glob(f"{ROOT}/traces/h100-*"):
        shutil.copy(path, tmp_path / "traces")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr("harness.environment.has_gpu", lambda: False)
    monkeypatch.setattr("harness.capture.sim.run_target", sandbox.simulate_here)
    return tmp_path


def said_by(script: str, path: Path) -> str:
    path.write_text(script)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        runpy.run_path(str(path))
    return said.getvalue()


def test_the_tutorial_from_first_to_last(desk: Path, capfd: pytest.CaptureFixture[str]) -> None:
    followed = []
    for page, line, output in shown():
        if page != PAGE:
            continue
        program, *words = shlex.split(line)
        if "--device" in words and shutil.which("nsys") is None:
            continue  # the page: "if Nsight Systems is installed"; .ci/install-nsys does
        if program == "python":
            found = said_by((desk / words[0]).read_text(), desk / words[0])
        else:
            assert program == "harness"
            code, found = sandbox.call(words), capfd.readouterr().out
            assert code == 0, line
        for part in output.split("..."):
            for shown_line in part.strip().splitlines():
                assert shown_line.strip() in found, f"{line} does not print: {shown_line}"
        followed.append(line)
    assert len(followed) >= 11
    assert (desk / "report.html").stat().st_size > 50_000


def test_the_text_says_what_the_tables_say() -> None:
    """Figures in the sentences are those of the outputs above them."""
    page = text(PAGE)
    python, launch = re.search(
        r"kv-cache \(simulated\) +[\d.]+ +[\d.]+ +([\d,.]+) +([\d,.]+) +[\d.]+$", page, re.MULTILINE
    ).groups()
    assert f"{python} µs are Python (`host`) and {launch} the launch calls" in page
    drained, share = re.search(r"Condition · +([\d.]+) +(0\.\d%)", page).groups()
    assert f"let the queue run dry for\n{drained} µs a step, {share} of the idle time" in page
    saved, left = re.search(
        r"launches between waits as one .* (\d+)\.\d%  ([\d,.]+) ", page
    ).groups()
    assert f"as one CUDA graph, the step would take {left} µs, {saved}% less" in page
    before, after = re.search(r"^ +step +([\d,.]+) µs +([\d,.]+) µs", page, re.MULTILINE).groups()
    assert f"{left} µs were predicted, and `harness compare` below says {before}" in page
    wins, predicted = re.search(r"'Check Stop +([\d.]+) +1\.1% +([\d,.]+) ", page).groups()
    assert f"worth hiding: {wins} µs a step" in page
    assert predicted == after
    assert f"the {after} µs are those of the prediction" in page
    ratio = float(re.search(r"^ +step .* ([\d.]+)x ", page, re.MULTILINE).group(1))
    assert f"Better, by {100 * (1 - ratio):.1f}%" in page


def test_both_loops_make_the_same_tokens(desk: Path) -> None:
    """One row, so that some runs end early: an answer one step late must not change the tokens."""
    early = 0
    for seed in range(6):
        said = []
        for name, code in SCRIPTS.items():
            changed = code.replace("(16,", "(1,").replace("zeros(16", "zeros(1")
            changed = changed.replace("randn(16", "randn(1").replace("seed(0)", f"seed({seed})")
            said.append(said_by(changed, desk / name))
        assert said[0] == said[1]
        early += not said[0].startswith("60 steps")
    assert early > 0
