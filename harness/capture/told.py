"""What the launcher in the target's process says while it runs, and why its window never opened."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .base import CaptureConfig, Progress
from .errors import RangeNotOpened
from .inside import told_path
from .remarks import EndedByWindow, NothingYet, WindowOpened


class Told:
    """Reads the launcher's lines as they come, and hands each on as a sentence.

    `notes` are those that belong to the recording.
    """

    def __init__(self, folder: Path, progress: Progress) -> None:
        self._path = told_path(folder)
        self._progress = progress
        self._read = 0
        self.notes: list[str] = []
        self._over = False

    def tick(self, elapsed_s: float) -> None:
        """Called about once a second, in place of the progress's own."""
        self.poll()
        self._progress.tick(elapsed_s)

    def finish(self) -> None:
        """The program is over: hand on what is left."""
        self._over = True
        self.poll()

    def poll(self) -> None:
        """Hand on what is new."""
        try:
            with open(self._path, "rb") as file:
                file.seek(self._read)
                data = file.read()
        except OSError:
            return
        whole = data[: data.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            try:
                self._say(json.loads(line))
            except (ValueError, KeyError, TypeError):
                continue  # half a line of a process that was killed

    def _say(self, told: Mapping[str, Any]) -> None:
        kind = told["kind"]
        if kind == "opened":
            self.notes.append(WindowOpened(f"the window opened {told['why']}"))
            self._progress.stage(f"the window is open ({told['why']})")
        elif kind == "closed":
            self._progress.stage(_closed(told, over=self._over))
        elif kind == "ended":
            self.notes.append(
                EndedByWindow("the program was ended after its window, as asked (--then stop)")
            )
        elif kind == "failed":
            self.notes.append(NothingYet(told["why"]))
            self._progress.note(_warning(told["why"]))
        elif kind in _SENTENCES:
            self._progress.note(_warning(_SENTENCES[kind](told)))


def _warning(text: str) -> NothingYet:
    """With its code, and still what -q lets through."""
    return NothingYet(NothingYet(text).line)


def _closed(told: Mapping[str, Any], *, over: bool) -> str:
    steps = f", {told['steps']} steps" if told["steps"] else ""
    lasted = f" {told['lasted_s']:.2f} s{steps}" if told["lasted_s"] is not None else ""
    if not told.get("cuda", True):
        lasted += ", and no CUDA work: CUDA had not begun; give a later --delay, or none"
    if over:
        return f"recorded{lasted}"
    if told["then"] == "stop":
        return f"recorded{lasted}; the program is ended now"
    return (
        f"recorded{lasted}; the program goes on: Ctrl-C ends it and keeps the recording, "
        "--then stop does so by itself"
    )


def _names(found: list[list[Any]]) -> str:
    return ", ".join(f"'{name}' x {count}" for name, count in found)


def _no_cuda(told: Mapping[str, Any]) -> str:
    said = f"no CUDA work seen in {told['after_s']} s"
    if told["children"]:
        return (
            f"{said}; the program has {told['children']} child process(es), which are not recorded"
        )
    return f"{said}; the recording waits for it"


def _no_steps(told: Mapping[str, Any]) -> str:
    seen = f"only {_names(told['names'])}" if told["names"] else "and no other"
    return (
        f"no range that is a step in {told['after_s']} s, {seen}; "
        "stop with Ctrl-C and name yours with --step GLOB, or use --duration 1"
    )


def _steps_passed(told: Mapping[str, Any]) -> str:
    return (
        f"the steps '{told['family']}' begin at {told['first']}, --steps {told['asked']} lies "
        "before them; the recording waits for a loop that begins again"
    )


def _theirs(told: Mapping[str, Any]) -> str:
    return (
        f"{told['where']} calls cudaProfilerStart: its own window is waited for, for "
        f"{told['most_s']} s; --duration 1 does not wait"
    )


_SENTENCES = {
    "no-cuda": _no_cuda,
    "no-launches": _no_cuda,
    "no-steps": _no_steps,
    "steps-passed": _steps_passed,
    "theirs-awaited": _theirs,
}


def never_opened(config: CaptureConfig, window: Mapping[str, Any]) -> RangeNotOpened:
    """The error for a program that ended before its window opened; `window` is what it told."""
    assert config.window is not None
    if window["failed"]:
        return RangeNotOpened(
            f"{window['failed']}: nothing was recorded",
            remedy="see whether the program runs by itself",
        )
    if not window["cuda_used"]:
        return RangeNotOpened(
            "the program made no use of CUDA: nothing was recorded",
            remedy="--device cpu records its host side; child processes are recorded by a harness "
            "profile of their own",
        )
    if config.window.steps is not None:
        return _no_such_steps(config.window.steps, window)
    if config.window.delay_s is not None:
        return RangeNotOpened(
            f"the program ended before --delay {config.window.delay_s:g} was over: nothing was "
            "recorded",
            remedy="use a shorter --delay",
        )
    if window["mention"]:
        return RangeNotOpened(
            f"{window['mention']} mentions cudaProfilerStart and never called it: nothing was "
            "recorded",
            remedy="say when: --steps A:B, or --delay S",
        )
    steps = f" ({window['steps_seen']} steps)" if window["steps_seen"] else ""
    return RangeNotOpened(
        f"the program ended before its pace had settled{steps}: nothing was recorded",
        remedy="--capture-range none records all of it, --steps A:B some steps",
    )


def _no_such_steps(steps: tuple[int, int], window: Mapping[str, Any]) -> RangeNotOpened:
    asked = f"--steps {steps[0]}:{steps[1]}"
    if window["numbers"]:
        first, last = window["numbers"]
        return RangeNotOpened(
            f"the steps '{window['family']}' went from {first} to {last}, {asked} lies beyond "
            "them: nothing was recorded",
            remedy=f"choose within {first}:{last + 1}",
        )
    seen = f"; ranges seen: {_names(window['names'])}" if window["names"] else ""
    return RangeNotOpened(
        f"no range of the program is a step{seen}: nothing was recorded",
        remedy="name its steps with --step GLOB, or use --duration 1 in place of --steps",
    )
