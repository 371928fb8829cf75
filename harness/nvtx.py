"""The ranges a run is annotated with: the only place their colours and domain exist.

`Step N` (blue; `Steps A:B` where one launch makes several) holds `Model Forward` (green) and
`Check Stop Condition` (purple), in NVTX's default domain. Names and objects are made before the
run and used again: a pair then costs about 0.14 us with no tool listening, against 0.7 us where
the name is formatted each time.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .analysis.model.remark import Warned
from .analysis.model.step_ranges import FORWARD, SPAN, STEP, STOP_CHECK

# Opened exactly around the recorded steps on a CPU, where there is no cudaProfilerStart: give it to
# `nsys profile --capture-range=nvtx --nvtx-capture="harness capture"`.
CAPTURE = "harness capture"
COLOURS = {STEP: "blue", SPAN: "blue", FORWARD: "green", STOP_CHECK: "purple", CAPTURE: "orange"}

# From this version on nvtx asks the tool whether the domain is enabled, and records nothing if the
# tool is too old to answer (Nsight Systems 2022.4 and 2023.4 are).
ASKS_THE_TOOL = (0, 2, 12)


class Range:
    """A range that is entered again and again; `count` is how often it was."""

    __slots__ = ("_pop", "_push", "count")

    def __init__(self, push: Callable[[], object], pop: Callable[[], object]) -> None:
        self._push = push
        self._pop = pop
        self.count = 0

    def __enter__(self) -> None:
        self.count += 1
        self._push()

    def __exit__(self, *_: object) -> None:
        self._pop()


class Ranges:
    """All ranges of a run of up to `steps` steps.

    `steps[i]`, `forward`, `stop_check` and `capture` are context managers. Where the nvtx package
    is missing they do nothing, and a warning on stderr says so once.
    """

    def __init__(self, steps: int, make: Callable[[str, str], Range] | None = None) -> None:
        make = make or _backend(nvtx_status())
        self._make = make
        self._spans: dict[tuple[int, int], Range] = {}
        self.steps = [make(STEP.format(step), COLOURS[STEP]) for step in range(steps)]
        self.forward = make(FORWARD, COLOURS[FORWARD])
        self.stop_check = make(STOP_CHECK, COLOURS[STOP_CHECK])
        self.capture = make(CAPTURE, COLOURS[CAPTURE])

    def span(self, first: int, last: int) -> Range:
        """The range of steps `first` up to, not with, `last`, where one launch makes them all."""
        if (first, last) not in self._spans:
            self._spans[first, last] = self._make(SPAN.format(first, last), COLOURS[SPAN])
        return self._spans[first, last]

    def _all(self) -> list[Range]:
        return [
            *self.steps,
            *self._spans.values(),
            self.forward,
            self.stop_check,
            self.capture,
        ]

    @property
    def issued(self) -> int:
        """How many ranges were opened since the last reset."""
        return sum(found.count for found in self._all())

    def reset(self) -> None:
        """Count from zero."""
        for found in self._all():
            found.count = 0


class RangesNotRecorded(Warned):
    """NVTX ranges are not recorded.

    The nvtx package is not installed (`pip install nvtx`), `NVTX_DISABLE` is set, or the profiler
    does not listen to NVTX, or is too old to say that it does: trace nvtx; if that is done, `pip
    install 'nvtx<0.2.12'`, or use a newer nsys.
    """

    code = "ranges-not-recorded"


@dataclasses.dataclass(frozen=True)
class NvtxStatus:
    """What becomes of a range opened in this process.

    `version` is the nvtx package's, None where it is not installed. `tool` is the profiler library
    loaded into this process, None where there is none. `recorded` is whether ranges reach a tool;
    None where nvtx is too old to ask and no known tool is loaded. `backend` is what opens them:
    "nvtx", "torch" (the way round the old-tool trap) or "none". `problem` and `remedy` are one line
    each, or None.
    """

    version: str | None
    tool: str | None
    recorded: bool | None
    backend: str
    problem: str | None = None
    remedy: str | None = None


def nvtx_status() -> NvtxStatus:
    """Find out, without opening a range; never raises."""
    tool = loaded_tool()
    try:
        import nvtx
    except ImportError:
        return NvtxStatus(
            None,
            tool,
            False,
            "none",
            RangesNotRecorded("the nvtx package is not installed"),
            "pip install nvtx",
        )
    version = importlib.metadata.version("nvtx")
    if not nvtx.enabled():
        return NvtxStatus(
            version,
            tool,
            False,
            "none",
            RangesNotRecorded("NVTX_DISABLE is set: no ranges"),
            "unset NVTX_DISABLE",
        )
    if version_tuple(version) < ASKS_THE_TOOL:
        return NvtxStatus(version, tool, True if tool else None, "nvtx")
    if type(nvtx.get_domain(None)).__name__ != "DummyDomain":
        return NvtxStatus(version, tool, True, "nvtx")
    if tool is None:
        return NvtxStatus(version, None, False, "nvtx")  # nobody listens, nothing is lost
    if _torch_nvtx() is not None:
        return NvtxStatus(version, tool, True, "torch")
    return NvtxStatus(
        version,
        tool,
        False,
        "nvtx",
        RangesNotRecorded(
            f"nvtx {version} records no ranges here: the profiler ({tool}) does not listen to "
            "NVTX, or is too old to say that it does"
        ),
        "trace nvtx; if that is done, pip install 'nvtx<0.2.12' or use a newer Nsight Systems",
    )


def version_tuple(version: str) -> tuple[int, ...]:
    """ "0.2.12" -> (0, 2, 12); stops at the first part that is no number."""
    parts: list[int] = []
    for part in version.split("."):
        if not part.isdecimal():
            break
        parts.append(int(part))
    return tuple(parts)


def loaded_tool() -> str | None:
    """The name of the NVTX tool library that is, or will be, loaded into this process; or None."""
    named = os.environ.get("NVTX_INJECTION64_PATH")
    if named:
        return Path(named).name
    try:
        maps = Path("/proc/self/maps").read_text()
    except OSError:
        return None
    for line in maps.splitlines():
        name = line.rpartition("/")[2]
        if name.startswith("libToolsInjection"):
            return name
    return None


def _torch_nvtx() -> Any:
    """PyTorch's own NVTX binding where it is real; it does not ask the tool first."""
    torch = sys.modules.get("torch")
    return getattr(getattr(torch, "_C", None), "_nvtx", None)


def _nothing() -> None:
    """A range nobody records."""


def _backend(status: NvtxStatus) -> Callable[[str, str], Range]:
    if status.problem:
        print(
            f"harness: warning: {status.problem}; {status.remedy} [{RangesNotRecorded.code}]",
            file=sys.stderr,
        )
    if status.backend == "none":
        return lambda name, colour: Range(_nothing, _nothing)
    if status.backend == "torch":
        binding = _torch_nvtx()
        return lambda name, colour: Range(lambda: binding.rangePushA(name), binding.rangePop)
    import nvtx

    def make(name: str, colour: str) -> Range:
        # The one form that is the same from nvtx 0.2.11 to 0.2.17: Domain.push_range came later.
        made = nvtx.annotate(name, color=colour)
        return Range(made.__enter__, lambda: made.__exit__(None, None, None))

    return make
