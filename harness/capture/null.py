"""No profiler at all: the target's own wall time, against which a profiler's cost is measured."""

from __future__ import annotations

from .base import Availability, CaptureConfig, CaptureResult, Progress, register
from .targets import refuse_interrupted, run_target


class NullBackend:
    """Runs the target as it is; leaves a manifest and no trace."""

    name = "null"
    summary = "No profiler: only wall times, the baseline for a profiler's overhead"
    records = {"cuda": "cuda", "cpu": "cpu"}  # noqa: RUF012
    priority = None

    def probe(self, device: str, tool: str | None = None) -> Availability:
        """Always possible."""
        return Availability(True, "no profiler, wall times only")

    def record(self, config: CaptureConfig, progress: Progress) -> CaptureResult:
        """Run the target to its end."""
        progress.stage("running without a profiler")
        ended = run_target(config, config.argv, progress)
        refuse_interrupted(ended)
        return CaptureResult(
            backend=self.name,
            exit_code=ended.exit_code,
            origin="measured",
            durations_s={"record": round(ended.wall_s, 3)},
        )


register(NullBackend())
