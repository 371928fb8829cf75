"""Start `nsys profile`, and start it again where it failed before it had started the target."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from ..base import CaptureConfig, Progress
from ..processes import Ended, supervise
from . import argv as nsys_argv
from .errors import NsysFailed, NsysStartFailed
from .features import NsysFeatures
from .log import NsysLog

# nsys's own processes, which may outlive it for a moment.
HELPERS = ("nsys", "nsys-launcher", "nsys-tee")
TRIES = 3
"""How often nsys is started before its own failure to start is an error."""


def start(
    features: NsysFeatures,
    options: tuple[str, ...],
    output: Path,
    config: CaptureConfig,
    progress: Progress,
) -> tuple[Ended, NsysLog]:
    """Run the target under nsys; where nsys failed before it had started it, run nsys again.

    nsys 2022.4 looks for a semaphore that its helper may not have made yet: of 180 starts on a busy
    machine 12 failed, within a second and with the target's code for its own.
    """
    for _ in range(TRIES):
        log = NsysLog()
        ended, seen = _run(features, options, output, config, log=log, progress=progress)
        failure = log.failure()
        if failure is None or ended.exit_code == 0 or ended.interrupted or artefact(output):
            return ended, log
        if seen or log.heard:  # to run the target twice is the user's to decide
            if not log.thrown:
                return ended, log
            raise NsysFailed(
                f"nsys {features.version} failed while the target ran and left no report: {failure}"
            )
        progress.stage(f"nsys failed before it started the target ({failure}); starting it again")
    raise NsysStartFailed(
        f"nsys {features.version} failed {TRIES} times before it started the target: {failure}"
    )


def _run(
    features: NsysFeatures,
    options: tuple[str, ...],
    output: Path,
    config: CaptureConfig,
    *,
    log: NsysLog,
    progress: Progress,
) -> tuple[Ended, bool]:
    """How nsys ended, and whether the target was seen."""
    env = {**os.environ, **dict(config.env)}
    if config.capture_range.kind == "nvtx":
        # Otherwise only registered strings open the range, and C and torch do not register theirs.
        env["NSYS_NVTX_PROFILER_REGISTER_ONLY"] = "0"

    def hear(block: str) -> None:
        own = log.take_block(block)
        if own:
            progress.output(own)

    def interrupted(name: str) -> None:
        progress.stage(
            f"{name}: nsys may take up to {config.grace_s:.0f} s to keep what it has; "
            "a second signal kills everything at once"
        )

    seen = threading.Event()
    argv = nsys_argv.profile_argv(features, options, str(output), config.argv)
    ended = supervise(
        argv,
        env=env,
        on_block=hear,
        on_tick=progress.tick,
        on_interrupt=interrupted,
        on_target=seen.set,
        grace_s=config.grace_s,
        helpers=HELPERS,
    )
    return ended, seen.is_set()


def artefact(output: Path) -> Path | None:
    """The recording in its best form; an empty file is none."""
    for suffix in (".nsys-rep", ".qdstrm"):
        path = output.with_suffix(suffix)
        if path.is_file() and path.stat().st_size > 0:
            return path
    return None
