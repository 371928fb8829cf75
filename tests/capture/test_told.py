"""What the launcher tells is said as it comes, once, and in words that help."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.capture.base import CaptureConfig, CaptureRange
from harness.capture.nsys.log import NsysLog
from harness.capture.nsys.start import SILENT_S, _watching
from harness.capture.told import Told, never_opened
from harness.capture.window import Window


class Said:
    """A progress that keeps what it is told."""

    def __init__(self):
        self.lines = []

    def stage(self, text):
        self.lines.append(text)

    note = output = stage

    def tick(self, elapsed_s):
        pass


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"kind": "no-cuda", "after_s": 20, "children": 0}, "no CUDA work seen in 20 s"),
        ({"kind": "no-launches", "after_s": 20, "children": 3}, "3 child process(es)"),
        ({"kind": "no-steps", "after_s": 20, "names": [["forward", 9]]}, "'forward' x 9; stop"),
        ({"kind": "no-steps", "after_s": 20, "names": []}, "name yours with --step GLOB"),
        ({"kind": "steps-passed", "first": 900, "asked": "30:50", "family": "Step N"},
         "the steps 'Step N' begin at 900, --steps 30:50 lies before them"),
        ({"kind": "theirs-awaited", "where": "a.py", "most_s": 60}, "a.py calls cudaProfilerStart"),
        ({"kind": "failed", "why": "the window could not be opened: X"}, "could not be opened: X"),
        ({"kind": "closed", "lasted_s": 1.0, "steps": 20, "then": "go-on"},
         "recorded 1.00 s, 20 steps; the program goes on: Ctrl-C ends it"),
        ({"kind": "closed", "lasted_s": 1.0, "steps": 0, "then": "stop"}, "is ended now"),
        ({"kind": "closed", "lasted_s": 0.5, "steps": 0, "then": "go-on", "cuda": False},
         "recorded 0.50 s, and no CUDA work: CUDA had not begun; give a later --delay"),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)  # fmt: skip
def test_each_line_is_a_sentence(tmp_path, facts, words):
    said = Said()
    told = Told(tmp_path, said)
    told.poll()
    (tmp_path / "told.jsonl").write_text(json.dumps(facts) + "\n" + '{"kind": "half')
    told.poll()
    told.poll()
    (line,) = said.lines
    assert words in line


def test_a_window_that_closed_with_its_program_does_not_say_that_it_goes_on(tmp_path):
    said = Said()
    told = Told(tmp_path, said)
    facts = {"kind": "closed", "lasted_s": 1.0, "steps": 20, "then": "go-on"}
    (tmp_path / "told.jsonl").write_text(json.dumps(facts) + "\n")
    told.finish()
    assert said.lines == ["recorded 1.00 s, 20 steps"]


@pytest.mark.parametrize(
    ("window", "facts", "words"),
    [
        (Window(), {"cuda_used": False}, "made no use of CUDA"),
        (Window(), {"mention": "a.py"}, "a.py mentions cudaProfilerStart and never called it"),
        (Window(), {"steps_seen": 4}, "before its pace had settled (4 steps)"),
        (Window(), {"failed": "the window could not be opened: X"}, "could not be opened: X"),
        (Window(delay_s=60), {}, "before --delay 60 was over"),
        (Window(steps=(30, 50)), {"numbers": [0, 19], "family": "Step N"}, "went from 0 to 19"),
        (Window(steps=(30, 50)), {"names": [["forward", 9]]}, "ranges seen: 'forward' x 9"),
    ],
)
def test_why_a_window_never_opened(window, facts, words):
    told = {"cuda_used": True, "mention": None, "steps_seen": 0, "failed": None, "numbers": None,
            "names": [], "family": None, **facts}  # fmt: skip
    config = CaptureConfig(("x",), "cuda", Path(), CaptureRange("auto"), window=window)
    error = never_opened(config, told)
    assert words in error.message
    assert error.remedy


def test_a_capture_range_that_nsys_waits_for_is_named_while_it_waits():
    said = Said()
    config = CaptureConfig(("x",), "cuda", Path(), CaptureRange("cudaProfilerApi"))
    tick = _watching(config, NsysLog(), said)
    for second in range(40):
        tick(float(second))
    assert len(said.lines) == 1
    assert f"cudaProfilerApi has not opened in {SILENT_S:.0f} s" in said.lines[0]
    said, log = Said(), NsysLog()
    log.take("Capture range started in the application.\n")
    tick = _watching(config, log, said)
    tick(100.0)
    assert said.lines == []


def test_a_process_without_a_cuda_runtime_has_not_begun_with_cuda():
    code = "from harness.capture.cupti.window import _cuda_has_begun; print(_cuda_has_begun())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
