"""How a target runs under nsys: as it is, with our launcher in its process, or by nsys's clock."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from ... import environment
from ...analysis.model.evidence import CPU_MARKS, DOMAIN, NAMES
from ...errors import CaptureError
from ...nvtx import CAPTURE
from ..base import CaptureConfig, CaptureRange
from ..cupti.plan import Target, python_target
from ..errors import OptionsDoNotFit
from ..inside import described, host_facts, under_launcher
from ..window import Window
from .features import NsysFeatures, nvtx_trap


@dataclasses.dataclass(frozen=True)
class Arranged:
    """What nsys is to run and to wait for. `inside`: the launcher tells of its window; `clock`:
    the window is nsys's own, and with a duration nsys ends the program. `trap`: why the ranges
    would be lost without the launcher."""

    config: CaptureConfig
    inside: bool = False
    clock: Window | None = None
    trap: str | None = None

    def lost_ranges(self, folder: Path) -> str | None:
        """Why the ranges were lost, where the launcher could not help it."""
        if self.trap is None or (host_facts(folder) or {}).get("nvtx_opened"):
            return None
        return self.trap

    def ended_by_clock(self, exit_code: int, wall_s: float) -> bool:
        """Did nsys end the program at the end of its window? It reports a SIGTERM then."""
        if self.clock is None or self.clock.duration_s is None:
            return False
        return exit_code == 143 and wall_s >= (self.clock.delay_s or 0) + self.clock.duration_s


def arrange(features: NsysFeatures, config: CaptureConfig) -> Arranged:
    """Choose; UsageError for a window that neither the launcher nor nsys can keep."""
    target = _python(config.argv)
    trap = None if target is None else _trap(features, target)
    if config.capture_range.kind == "auto":
        assert config.window is not None
        if target is None:
            return _by_clock(config, config.window, f"{Path(config.argv[0]).name} is none")
        if config.device != "cuda" and _version(target, "nvtx") is None:
            lacks = f"{target.interpreter[0]} has no nvtx package to tell them by"
            return _by_clock(config, config.window, lacks)
        range_ = CaptureRange("nvtx", CAPTURE)
        if config.device == "cuda":
            range_ = CaptureRange("cudaProfilerApi")
        argv = _launched(config, target, trap)
        changed = dataclasses.replace(config, argv=argv, capture_range=range_)
        return Arranged(changed, inside=True, trap=trap)
    if target is not None:
        changed = dataclasses.replace(config, argv=_launched(config, target, trap))
        return Arranged(changed, trap=trap)
    return Arranged(config)


def _python(argv: tuple[str, ...]) -> Target | None:
    try:
        return python_target(argv)
    except CaptureError:
        return None  # no Python, or one that only starts others


def _version(target: Target, package: str) -> str | None:
    return (environment.versions(target.interpreter[0]) or {}).get(package)


def _trap(features: NsysFeatures, target: Target) -> str | None:
    if nvtx_trap(features.release, "999") is None:
        return None  # with no version of nvtx: none has to be asked for
    return nvtx_trap(features.release, _version(target, "nvtx"))


def _launched(config: CaptureConfig, target: Target, trap: str | None) -> tuple[str, ...]:
    evidence = {"domain": DOMAIN, "evidence": NAMES, "marks": CPU_MARKS}
    session = described(config, "nsys", {"open_nvtx": trap is not None, **evidence})
    return under_launcher(target.interpreter, target.words, session)


def _by_clock(config: CaptureConfig, window: Window, why: str) -> Arranged:
    if window.steps is not None:
        raise OptionsDoNotFit(
            f"--steps follows the ranges of a Python program: {why}",
            remedy="use --delay and --duration",
        )
    if not window.asked:
        kind = CaptureRange("cudaProfilerApi" if config.device == "cuda" else "none")
        return Arranged(dataclasses.replace(config, capture_range=kind, window=None))
    if window.duration_s is not None and window.then == "go-on":
        raise OptionsDoNotFit(
            f"--then go-on needs a Python program: {why}, and nsys ends a program with its window",
            remedy="leave --duration out, or use --then stop",
        )
    kept = CaptureRange("none")
    return Arranged(dataclasses.replace(config, capture_range=kept, window=None), clock=window)
