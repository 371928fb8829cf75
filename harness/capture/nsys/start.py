"""Start `nsys profile`, and start it again where it failed before it had started the target."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ..base import CaptureConfig, Progress
from ..processes import LOOKS_S, Ended, supervise
from ..remarks import NothingYet
from ..told import Told
from . import argv as nsys_argv
from .errors import NsysStartFailed
from .features import NsysFeatures
from .log import NsysLog

# nsys's own processes, which may outlive it for a moment.
HELPERS = ("nsys", "nsys-launcher", "nsys-tee")
SILENT_S = 20.0
"""So long a capture range may stay closed before the user hears of it."""
TRIES = 3
"""How often nsys is started before its own failure to start is an error."""


class Started(NamedTuple):
    """How nsys ended, what it said, and whether anything but nsys was seen to run below it."""

    ended: Ended
    log: NsysLog
    seen: bool


def start(
    features: NsysFeatures,
    options: tuple[str, ...],
    output: Path,
    config: CaptureConfig,
    progress: Progress,
    told: Told | None = None,
) -> Started:
    """Run the target under nsys; where nsys failed before it had started it, run nsys again.

    nsys 2022.4 looks for a semaphore that its helper may not have made yet: of 490 starts on a busy
    machine 15 failed so, within a second and with exit code 1, and never had the target run. A
    target must not run twice: only these failures count, and only where nothing was seen or heard.
    """
    for left in reversed(range(TRIES)):
        run = _run(features, options, output, config, progress, told)
        if not _never_began(run, output):
            return run
        if left:
            progress.stage(f"nsys failed to start ({run.log.failure()}); starting it again")
    raise NsysStartFailed(
        f"nsys {features.version} failed to start, {TRIES} times in a row: {run.log.failure()}"
    )


def _never_began(run: Started, output: Path) -> bool:
    ended = run.ended
    if run.seen or not run.log.before_start() or ended.wall_s > LOOKS_S:
        return False
    stopped = ended.interrupted or ended.killed_by
    return not stopped and ended.exit_code != 0 and artefact(output) is None


def _run(
    features: NsysFeatures,
    options: tuple[str, ...],
    output: Path,
    config: CaptureConfig,
    progress: Progress,
    told: Told | None,
) -> Started:
    log = NsysLog()
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
        on_tick=told.tick if told is not None else _watching(config, log, progress),
        on_interrupt=interrupted,
        on_target=seen.set,
        grace_s=config.grace_s,
        helpers=HELPERS,
    )
    return Started(ended, log, seen.is_set())


def _watching(config: CaptureConfig, log: NsysLog, progress: Progress) -> Callable[[float], None]:
    """Says once that the capture range has not opened, where nsys says when it does."""
    said = config.capture_range.kind == "none"

    def tick(elapsed_s: float) -> None:
        nonlocal said
        if not said and not log.range_opened and elapsed_s >= SILENT_S:
            said = True
            unseen = f"the capture range {config.capture_range} has not opened in {elapsed_s:.0f} s"
            said_it = NothingYet(f"{unseen}; the recording waits for it")
            progress.note(NothingYet(said_it.line))
        progress.tick(elapsed_s)

    return tick


def artefact(output: Path) -> Path | None:
    """The recording in its best form; an empty file is none."""
    for suffix in (".nsys-rep", ".qdstrm"):
        path = output.with_suffix(suffix)
        if path.is_file() and path.stat().st_size > 0:
            return path
    return None
