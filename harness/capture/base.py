"""What every capture backend takes and gives, and the registry that finds them.

A backend is one module in this folder that calls `register`; nothing else has to know it.
"""

from __future__ import annotations

import functools
import importlib
import itertools
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from ..errors.options import UnknownChoice
from .errors import BadCaptureRange, CannotRecord, NoGpu, OptionsDoNotFit
from .window import Window

BARE_S = 2.0
"""What a recorder may add to the program's time for steps without it, where nobody says."""
CPU_REMEDY = "--device cpu records NVTX ranges and OS calls on this machine's CPU"


@dataclass(frozen=True)
class CaptureRange:
    """What opens and closes the recording: the CUDA profiler calls, an NVTX range, or nothing.

    `auto`: a `Window` that is looked for while the program runs. `name` is set for `nvtx` alone:
    the range's text, `text@domain` to name its domain too.
    """

    kind: Literal["cudaProfilerApi", "nvtx", "none", "auto"]
    name: str | None = None

    def __str__(self) -> str:
        return f"nvtx:{self.name}" if self.kind == "nvtx" else self.kind

    @classmethod
    def parse(cls, text: str) -> CaptureRange:
        """`auto`, `cudaProfilerApi`, `nvtx:NAME` or `none`; UsageError for anything else."""
        if text == "auto":
            return cls("auto")
        if text == "cudaProfilerApi":
            return cls("cudaProfilerApi")
        if text == "none":
            return cls("none")
        if text.startswith("nvtx:") and len(text) > len("nvtx:"):
            return cls("nvtx", text[len("nvtx:") :])
        raise BadCaptureRange(f"--capture-range is {text!r}")


class Progress(Protocol):
    """Where a backend says what it is doing; the command line writes it to stderr."""

    def stage(self, text: str) -> None:
        """A new stage has begun: 'recording', 'exporting'."""

    def note(self, text: str) -> None:
        """Something the user should know, one line."""

    def output(self, text: str) -> None:
        """A piece of the target's own output, with its line end where it has one."""

    def tick(self, elapsed_s: float) -> None:
        """Called about once a second while a stage runs."""


@dataclass(frozen=True)
class CaptureConfig:
    """One recording.

    `device` is `cuda`, `cpu`, or another that the backend's `records` names.
    `argv` is the target, run as it is and never through a shell. `workdir` is a private, empty,
    existing folder on the destination's file system: a backend writes there and nowhere else.
    `window` says when, where the range is `auto`.
    `env` holds variables that the target gets besides the caller's. `graph_trace` is the level at
    which CUDA graphs are recorded; None leaves it to the backend. `tool` is the profiler's path
    where the user gave one, `gpu` what a simulating backend is to simulate. `grace_s` is how long
    an interrupted profiler may take to finish. `records` says how much of the CUDA calls is
    recorded, where the backend can choose, and `bare_s` how much time may be added for steps
    without the recorder.
    """

    argv: tuple[str, ...]
    device: str
    workdir: Path
    capture_range: CaptureRange
    graph_trace: Literal["graph", "node"] | None = None
    env: tuple[tuple[str, str], ...] = ()
    tool: str | None = None
    gpu: str | None = None
    grace_s: float = 60.0
    window: Window | None = None
    records: Literal["light", "full"] = "light"
    bare_s: float = 0.0


@dataclass(frozen=True)
class CaptureResult:
    """What a backend recorded.

    `report` and `sqlite` lie in the config's `workdir`; None where this backend writes none.
    `exit_code` is the target's own (128 + N when signal N ended it). `interrupted` names the signal
    that the user stopped the recording with. `notes` are one-line facts for the user and the
    manifest. Durations are in seconds of wall time. `failure` says, in one line, what went wrong
    after the recording itself (the import, the export): what there is may be kept. `completeness`
    holds what the backend counted about itself (dropped records, ranges issued and found), under
    the keys that the analysis judges by. `lost_ranges` says why NVTX ranges did not reach the
    recording, where that is known. `bare` holds blocks of steps with the recorder and without it.
    """

    backend: str
    exit_code: int
    origin: Literal["measured", "simulated", "synthetic"]
    report: Path | None = None
    sqlite: Path | None = None
    tool_version: str | None = None
    options: tuple[str, ...] = ()
    graph_trace: Literal["graph", "node"] | None = None
    interrupted: str | None = None
    notes: tuple[str, ...] = ()
    durations_s: Mapping[str, float] = field(default_factory=dict)
    failure: str | None = None
    completeness: Mapping[str, Any] = field(default_factory=dict)
    lost_ranges: str | None = None
    bare: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Availability:
    """Can this backend record here? `reason` says why or why not; `remedy` how to change that."""

    ok: bool
    reason: str
    remedy: str | None = None


class CaptureBackend(Protocol):
    """A way to record a target. `name` is what `--capture` takes; `summary` is one line of help.

    `records` says where it can work and on which device the target then runs: the keys are `cuda`
    (a GPU is there), `cpu` (asked for) and `no-gpu` (no GPU there, no device asked for). `priority`
    orders the backends that `--capture auto` may pick, lowest first; None: only by name. A backend
    that records nothing but the harness's own target says so with `commands = False`.
    """

    name: str
    summary: str

    @property
    def records(self) -> Mapping[str, str]:
        """Place (`cuda`, `cpu`, `no-gpu`) to the device that the target runs on."""

    @property
    def priority(self) -> int | None:
        """Lowest first; None: never picked by `auto`."""

    def probe(self, device: str, tool: str | None = None) -> Availability:
        """Say whether recording on `device` can work here, without recording anything."""

    def record(self, config: CaptureConfig, progress: Progress) -> CaptureResult:
        """Run the target and record it.

        Raises CaptureError when there is no usable recording for a reason that is not the target's
        own failure; TargetFailed when the target failed before anything was recorded.
        """


def interpreter(argv: tuple[str, ...]) -> str | None:
    """The Python that runs the target, as a full path; None where it is another program.

    A script is asked for the interpreter in its first line: torchrun is Python, too.
    """
    program = shutil.which(argv[0])
    if program is None:
        return None
    if Path(program).name.startswith("python"):
        return program
    words = python_of_script(program)
    return shutil.which(words[0]) if words else None


def python_of_script(path: str) -> tuple[str, ...]:
    """The Python and its options that a script names in its first line; empty where it does not."""
    try:
        with open(path, "rb") as file:
            first = file.readline(512)
    except OSError:
        return ()
    words = first[2:].decode(errors="replace").split() if first.startswith(b"#!") else []
    if words and Path(words[0]).name == "env":  # with -S it takes several words
        words = list(itertools.dropwhile(lambda word: word.startswith("-"), words[1:]))
    return tuple(words) if words and Path(words[0]).name.startswith("python") else ()


_REGISTRY: dict[str, CaptureBackend] = {}


def register(backend: CaptureBackend) -> CaptureBackend:
    """Add a backend; its module calls this once, when it is imported. Names are unique."""
    known = _REGISTRY.get(backend.name)
    if known is not None and type(known) is not type(backend):
        raise ValueError(f"two capture backends are called {backend.name!r}")
    _REGISTRY[backend.name] = backend
    return backend


@functools.cache
def _discover() -> None:
    package = importlib.import_module(__package__)
    for module in package.MODULES:
        importlib.import_module(f"{__package__}.{module}")


def backends() -> dict[str, CaptureBackend]:
    """Every registered backend by name, sorted."""
    _discover()
    return dict(sorted(_REGISTRY.items()))


@dataclass(frozen=True)
class Choice:
    """The backend that will record, the device that the target runs on, and why."""

    backend: CaptureBackend
    device: str
    reason: str


def choose(
    name: str,
    device: str,
    *,
    gpu: bool,
    tool: str | None = None,
    command: bool = False,
    among: Iterable[CaptureBackend] = (),
) -> Choice:
    """Resolve `--capture name` and `--device device` (either may be `auto`).

    `gpu` says whether this machine has one, `command` whether the target is the user's own program.
    `auto` takes, by priority, the first backend meant for the place that can record here. Raises
    CaptureError with the first choice's remedy when none can, UsageError for an unknown name.
    `among` replaces the registry, for tests.
    """
    known = {backend.name: backend for backend in among} or backends()
    if command:
        if name in known and not getattr(known[name], "commands", True):
            raise OptionsDoNotFit(
                f"--capture {name} records the harness's own strategies, not a COMMAND",
                remedy="use --strategy, or another --capture",
            )
        known = {key: item for key, item in known.items() if getattr(item, "commands", True)}
    where = device if device != "auto" else "cuda" if gpu else "no-gpu"
    if name == "auto":
        fitting = sorted(
            (
                item
                for item in known.values()
                if item.priority is not None
                and where in item.records
                # With a GPU there, nobody means a simulated one unless they say so.
                and (where != "cuda" or item.records[where] == "cuda")
            ),
            key=lambda item: (item.priority or 0, item.name),
        )
    elif name in known:
        fitting = [known[name]]
        if where == "no-gpu" and where not in known[name].records:
            where = "cpu" if "cpu" in known[name].records else "cuda"
    else:
        raise UnknownChoice(
            f"--capture is {name!r}", remedy=f"use auto, {', '.join(sorted(known))}"
        )
    if where == "cuda" and not gpu:
        asking = f"--device {device}" if device == "cuda" else f"--capture {name}"
        remedy = CPU_REMEDY
        if name != "auto" and "cpu" not in known[name].records:
            remedy = f"leave --capture {name} out: {CPU_REMEDY}"
        raise NoGpu(f"no NVIDIA GPU found, {asking} asks for one", remedy=remedy)
    refused: list[tuple[str, Availability]] = []
    for backend in fitting:
        if where not in backend.records:
            raise OptionsDoNotFit(f"--capture {name} does not record with --device {device}")
        target = backend.records[where]
        found = backend.probe(target, tool)
        if found.ok:
            asked = ", as asked" if name != "auto" else ""
            passed = "".join(f"; {other} not: {why.reason}" for other, why in refused)
            return Choice(backend, target, f"{backend.name}{asked}: {found.reason}{passed}")
        refused.append((backend.name, found))
    if not refused:
        said = "a program of your own is recorded on one" if command else "nothing simulates one"
        raise NoGpu(f"no NVIDIA GPU found, and {said}", remedy=CPU_REMEDY)
    reasons = "; ".join(f"{other}: {why.reason}" for other, why in refused)
    raise CannotRecord(f"cannot record: {reasons}", remedy=refused[0][1].remedy)
