"""What the profiler adds to a step: the same target again without one, timed by the same clock."""

from __future__ import annotations

import dataclasses
import itertools
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import CaptureError
from .base import CaptureConfig, Progress
from .errors import CalibrationFailed, Interrupted
from .null import NullBackend
from .remarks import Calibrated, NotCalibrated
from .session import Plan, Recording

RUNS = 3
MIN_PERIODS = 3


def calibrated(plan: Plan, recording: Recording, progress: Progress, runs: int = RUNS) -> Recording:
    """Add `calibration` to a recording's manifest, in its file too.

    The target is run `runs` times without a profiler. Where nothing can be compared (a simulated
    recording, a failed target, too few steps) a note says why and the recording stays as it was.
    Raises Interrupted where the user stops it: the recording is whole by then.
    """
    reason = _cannot(plan, recording)
    if reason:
        progress.note(NotCalibrated(f"not calibrated: {reason}"))
        return recording
    profiled = [_periods((recording.manifest.result or {}).get("window", {}))]
    try:
        unprofiled = [_periods(_run(plan, progress, k + 1, runs)) for k in range(runs)]
    except Interrupted:
        raise
    except CaptureError as error:
        progress.note(NotCalibrated(f"not calibrated: {error}"))
        return recording
    if min(map(len, [*profiled, *unprofiled])) < MIN_PERIODS:
        progress.note(
            NotCalibrated("not calibrated: too few steps in the window; --steps 30:50 has enough")
        )
        return recording
    calibration = compare_periods(unprofiled, profiled, plan.about.get("workload", {}).get("steps"))
    added = calibration["profiled_step_ns"]["mean"] / calibration["unprofiled_step_ns"]["mean"] - 1
    progress.note(
        Calibrated(
            f"calibrated: {calibration['unprofiled_step_ns']['mean'] / 1e3:.1f} µs a step without "
            f"the profiler, {calibration['profiled_step_ns']['mean'] / 1e3:.1f} µs with it "
            f"({added:+.1%})"
        )
    )
    manifest = dataclasses.replace(recording.manifest, calibration=calibration)
    manifest.write(recording.files[".json"])
    return dataclasses.replace(recording, manifest=manifest)


def _cannot(plan: Plan, recording: Recording) -> str | None:
    if not plan.own_target:
        return "the target is not the harness's own"
    if recording.manifest.origin != "measured":
        return f"the recording is {recording.manifest.origin}, no profiler lengthened it"
    if plan.backend.name == NullBackend.name:
        return "nothing profiled it"
    if recording.manifest.exit_code:
        return f"the target exited with code {recording.manifest.exit_code}"
    return None


def _run(plan: Plan, progress: Progress, number: int, runs: int) -> dict[str, Any]:
    """One unprofiled run; what the target says about its window."""
    progress.stage(f"calibrating, run {number} of {runs}")
    with tempfile.TemporaryDirectory(prefix="harness-calibrate-") as folder:
        told = Path(folder) / "result.json"
        result = NullBackend().record(
            CaptureConfig(
                argv=(*plan.argv, f"--result={told}", "--quiet"),
                device=plan.device,
                workdir=Path(folder),
                capture_range=plan.capture_range,
            ),
            _Silent(progress),
        )
        if result.exit_code:
            raise CalibrationFailed(
                f"the run without a profiler ended with code {result.exit_code}"
            )
        try:
            window: dict[str, Any] = json.loads(told.read_text())["window"]
        except (OSError, ValueError, KeyError, TypeError):
            raise CalibrationFailed("the run without a profiler told no result") from None
    return window


class _Silent:
    """Passes on signs of life and the target's output, but announces no stage of its own."""

    def __init__(self, progress: Progress) -> None:
        self.note, self.output, self.tick = progress.note, progress.output, progress.tick

    def stage(self, text: str) -> None:
        """Said by the caller already."""


def _periods(window: dict[str, Any]) -> list[int]:
    """Step periods in ns, the first left out: it follows the synchronisation at the edge."""
    starts = window.get("step_starts_ns") or []
    return [b - a for a, b in itertools.pairwise(starts[1:])]


def compare_periods(
    unprofiled: Sequence[Sequence[int]], profiled: Sequence[Sequence[int]], steps: Any = None
) -> dict[str, Any]:
    """The manifest's `calibration`: step times of runs without and with the profiler, ns."""
    import numpy as np

    from ..analysis.compare.samples import Sample
    from ..analysis.compare.verdict import compare_samples

    before, after = (
        Sample("step", "ns", tuple(np.array(run, np.float64) for run in runs))
        for runs in (unprofiled, profiled)
    )
    found = compare_samples("profiler", before, after, 0.95)
    interior = "" if not steps else f", steps {steps[0] + 1} to {steps[1] - 2}"
    return {
        "method": f"host clock in the target, from step to step{interior}; "
        f"{len(unprofiled)} runs without a profiler, after the recording",
        "unprofiled_step_ns": _figures(before) | _interval(before),
        "profiled_step_ns": _figures(after),
        "inflation": {
            "ratio": _mean(after) / _mean(before),
            "low": found.low,
            "high": found.high,
            "verdict": found.verdict,
        },
    }


def _interval(sample: Any) -> dict[str, float]:
    """95% interval of the runs' mean by Student's t; none of fewer than 3 runs."""
    from ..analysis.statistics.interval import CONFIDENCE
    from ..analysis.statistics.run_tests import mean_interval

    found = mean_interval(sample.values, CONFIDENCE)
    return {} if found is None else {"mean_low": found.low, "mean_high": found.high}


def _mean(sample: Any) -> float:
    """Of the runs' means: what the interval is of, and what a trace's own figures are means of."""
    return float(sample.values.mean())


def _figures(sample: Any) -> dict[str, Any]:
    import numpy as np

    every = np.concatenate(sample.runs)
    return {
        "mean": _mean(sample),
        "median": float(np.median(every)),
        "low": float(every.min()),
        "high": float(every.max()),
        "runs": len(sample.runs),
        "steps": len(every),
    }
