"""Record with Nsight Systems, judged by what it leaves on disk: its exit code says nothing."""

from __future__ import annotations

import dataclasses
import shutil
import signal
import time
from pathlib import Path

from ...errors import CaptureError
from ..base import (
    Availability,
    CaptureConfig,
    CaptureResult,
    Progress,
    register,
)
from ..errors import DiskFull, Interrupted, NotExecutable, RangeNotOpened, TargetFailed
from ..inside import host_facts
from ..processes import Ended
from ..remarks import EndedByWindow, LeftRunning, RawImported
from ..told import Told, never_opened
from . import argv as nsys_argv
from .arrange import arrange
from .errors import (
    NoReport,
    NsysFailed,
    NsysKilled,
    OptionsRejected,
    ReportElsewhere,
    ToolFailed,
    ToolInterrupted,
)
from .export import (
    ROOM,
    export_sqlite,
    import_qdstrm,
    own_importer_lacks,
)
from .features import (
    INSTALL_REMEDY,
    NVTX_REMEDY,
    NsysFeatures,
    find_nsys,
    read_features,
    require_nsys,
)
from .log import NsysLog
from .start import Started, artefact, start


class NsysBackend:
    """`nsys profile`, `QdstrmImporter` where nsys cannot find it, `nsys export`."""

    name = "nsys"
    summary = "Nsight Systems: GPU, CUDA calls, NVTX and OS calls from outside the process"
    records = {"cuda": "cuda", "cpu": "cpu"}  # noqa: RUF012
    priority = 10

    def probe(self, device: str, tool: str | None = None) -> Availability:
        """Is there an nsys, and which?"""
        path = find_nsys(tool)
        if path is None:
            return Availability(False, "Nsight Systems (nsys) is not installed", INSTALL_REMEDY)
        try:
            features = read_features(path)
        except CaptureError as error:  # the CUDA toolkit brings an nsys that only says "not found"
            return Availability(False, f"{path}: {error.message}", error.remedy)
        lacking = own_importer_lacks(features) if device == "cuda" else None
        if lacking is not None:
            # Under such an nsys (2025.3.1) a CUDA program never came back from its range.
            return Availability(False, lacking.message, lacking.remedy)
        version = features.version
        what = "CUDA, NVTX and OS calls" if device == "cuda" else "NVTX and OS calls, no GPU"
        return Availability(True, f"nsys {version} at {path} ({what})")

    def record(self, config: CaptureConfig, progress: Progress) -> CaptureResult:
        """Run the target under nsys, then import and export what it left.

        A failed import or export does not lose the recording: the result then carries what there
        is, and `failure` says what went wrong.
        """
        features = require_nsys(config.tool)
        asked = config
        arranged = arrange(features, config)
        config = arranged.config
        level, note = nsys_argv.graph_level(features, config.device, config.graph_trace)
        options = nsys_argv.profile_options(
            features,
            device=config.device,
            capture_range=config.capture_range,
            window=arranged.clock,
            graph_trace=level,
        )
        progress.stage("recording")
        output = config.workdir / "report"
        told = Told(config.workdir, progress) if arranged.inside else None
        run = start(features, options, output, config, progress, told)
        ended, log = run.ended, run.log
        notes: tuple[str, ...] = (note,) if note else ()
        if told is not None:
            told.finish()
            notes += tuple(told.notes)
        code = _exit_code(ended)
        if arranged.ended_by_clock(code, ended.wall_s):
            code = 0
            notes += (EndedByWindow("nsys ended the program with its window (--duration)"),)
        # What a killed nsys was still writing may be half a file.
        cut = ended.forced or ended.killed_by is not None
        raw = None if cut else artefact(output)
        if raw is None:
            log.remove_temporary() if cut else None
            raise _nothing_recorded(features, asked, run, arranged.lost_ranges(config.workdir))
        result = CaptureResult(
            backend=self.name,
            exit_code=code,
            origin="measured",
            report=raw,
            tool_version=features.build,
            options=options,
            graph_trace=level,
            interrupted=ended.interrupted,
            notes=(*notes, *_left_running(ended)),
            durations_s={"record": round(ended.wall_s, 3)},
            lost_ranges=arranged.lost_ranges(config.workdir),
        )
        full = _disk_was_full(config.workdir, log)
        try:
            if raw.suffix == ".qdstrm":
                result = _imported(features, result, raw, output, progress)
            return _exported(features, result, output, progress)
        except ToolInterrupted as stopped:
            number = signal.Signals[stopped.signal_name]
            return dataclasses.replace(
                result,
                report=artefact(output),
                failure=str(stopped),
                interrupted=stopped.signal_name,
                exit_code=128 + number,
            )
        except ToolFailed as failed:
            if full:
                raise DiskFull(
                    f"no space left in {config.workdir.parent}: what nsys could write cannot be "
                    f"read ({failed})"
                ) from failed
            return dataclasses.replace(result, report=artefact(output), failure=str(failed))


def _imported(
    features: NsysFeatures, result: CaptureResult, raw: Path, output: Path, progress: Progress
) -> CaptureResult:
    progress.stage("importing the raw recording (this nsys does not find its own importer)")
    begun = time.monotonic()
    report = output.with_suffix(".nsys-rep")
    importer = import_qdstrm(features, raw, report, progress.tick)
    raw.unlink()
    note = RawImported(f"nsys left a raw .qdstrm; imported by the harness with {importer.path}")
    return dataclasses.replace(
        result,
        report=report,
        notes=(*result.notes, note),
        durations_s={**result.durations_s, "import": round(time.monotonic() - begun, 3)},
    )


def _exported(
    features: NsysFeatures, result: CaptureResult, output: Path, progress: Progress
) -> CaptureResult:
    progress.stage("exporting to SQLite")
    begun = time.monotonic()
    assert result.report is not None
    sqlite = output.with_suffix(".sqlite")
    export_sqlite(features, result.report, sqlite, progress.tick)
    return dataclasses.replace(
        result,
        sqlite=sqlite,
        durations_s={**result.durations_s, "export": round(time.monotonic() - begun, 3)},
    )


def _disk_was_full(folder: Path, log: NsysLog) -> bool:
    """May nsys have found no room for the whole report? It says so at times, and at times not."""
    said = any("No space left" in problem for problem in log.problems)
    return said or shutil.disk_usage(folder).free < ROOM


def _exit_code(ended: Ended) -> int:
    # An interrupted nsys exits 0, 130 or 143, as its collection happened to stand.
    if ended.interrupted is not None:
        return 128 + signal.Signals[ended.interrupted]
    return ended.exit_code


def _left_running(ended: Ended) -> tuple[str, ...]:
    if not ended.left_running:
        return ()
    names = ", ".join(f"{name} (pid {pid})" for pid, name in ended.left_running[:5])
    said = f"the target left {len(ended.left_running)} process(es) running: {names}"
    return (LeftRunning(said),)


def _nothing_recorded(
    features: NsysFeatures, config: CaptureConfig, run: Started, lost_ranges: str | None
) -> CaptureError:
    """The error that says why there is no report, the most telling reason first."""
    ended, log = run.ended, run.log
    said = log.problems[-1] if log.problems else None
    if ended.interrupted is not None:
        return Interrupted(
            f"interrupted by {ended.interrupted} before anything was recorded"
            + ("; nsys did not finish and was killed" if ended.forced else ""),
            exit_code=_exit_code(ended),
        )
    if ended.killed_by is not None:
        return NsysKilled(
            f"nsys {features.version} was killed by {ended.killed_by}; its recording is lost, and "
            "the target was stopped"
        )
    if log.usage_error:
        return OptionsRejected(
            f"nsys {features.version} rejected its options: {said or 'it printed its usage'}"
        )
    if log.not_a_program:
        return NotExecutable(f"{config.argv[0]}: nsys cannot execute it", exit_code=126)
    if log.not_utf8:
        return NoReport(
            f"nsys {features.version} left no report and said: {said}",
            remedy="it takes UTF-8 alone: spell the command and --output-dir so",
        )
    diverted = log.diverted()
    if diverted is not None:
        return ReportElsewhere(
            f"nsys could not write into {config.workdir.parent} and left its report at {diverted}"
            + (f" ({said})" if said else "")
        )
    if _disk_was_full(config.workdir, log):
        return DiskFull(
            f"no space left in {config.workdir.parent}: nsys could not write its report"
            + (f" ({said})" if said else "")
        )
    failure = log.failure()
    if failure is not None and (log.thrown or not run.seen):
        return NsysFailed(f"nsys {features.version} failed and left no report: {failure}")
    if ended.exit_code != 0:
        before = (
            "before anything was recorded"
            if config.capture_range.kind == "none"
            else f"before its capture range ({config.capture_range}) opened"
        )
        return TargetFailed(
            f"the target exited with code {ended.exit_code} {before}; no report was written",
            exit_code=ended.exit_code,
        )
    host = host_facts(config.workdir) if config.window is not None else None
    if host is not None and host.get("window"):
        return never_opened(config, host["window"])
    if config.capture_range.kind == "none":
        return NoReport(
            f"nsys {features.version} left no report{f' and said: {said}' if said else ''}"
        )
    if lost_ranges is not None and config.capture_range.kind == "nvtx":
        return RangeNotOpened(
            f"the capture range {config.capture_range} never opened: {lost_ranges}",
            remedy=NVTX_REMEDY,
        )
    return RangeNotOpened(
        f"the capture range {config.capture_range} never opened: nothing was recorded",
        remedy=_RANGE_REMEDY[config.capture_range.kind],
    )


_RANGE_REMEDY = {
    "cudaProfilerApi": "call torch.cuda.profiler.start() and .stop() around the steps to record, "
    "or use --capture-range nvtx:NAME or none",
    "auto": "say when: --delay S and --duration S, or --capture-range none for all of it",
    "nvtx": "check the name against the target's own ranges, or use --capture-range none",
}


register(NsysBackend())
