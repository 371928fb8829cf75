"""Running a target under no tool but ourselves, for backends without a profiler beside it."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

from .base import CaptureConfig, Progress
from .errors import Interrupted
from .processes import Ended, supervise
from .told import Told


def run_target(
    config: CaptureConfig, argv: Sequence[str], progress: Progress, told: Told | None = None
) -> Ended:
    """Run `argv` to its end, its output and the time passed on to `progress`."""
    return supervise(
        argv,
        env={**os.environ, **dict(config.env)},
        on_block=progress.output,
        on_tick=told.tick if told is not None else progress.tick,
        grace_s=config.grace_s,
        signal_group=True,
    )


def refuse_interrupted(ended: Ended) -> None:
    """Raises Interrupted where the user stopped the run."""
    if ended.interrupted is not None:
        number = signal.Signals[ended.interrupted]
        raise Interrupted(f"interrupted by {ended.interrupted}", exit_code=128 + number)
