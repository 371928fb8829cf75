"""Record without Nsight Systems: CUPTI inside the target's own Python process."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from ... import environment
from ...analysis.model.evidence import NAMES
from ...errors import CaptureError, TraceError
from ..base import (
    Availability,
    CaptureConfig,
    CaptureResult,
    Progress,
    register,
)
from ..errors import Interrupted, NoTraceWritten, RangeNotOpened, TargetFailed
from ..inside import described, host_facts, under_launcher
from ..processes import Ended
from ..remarks import BegunInCapture, GraphsByNode, StartsIgnored
from ..targets import run_target
from ..told import Told, never_opened
from .errors import CuptiInUse, CuptiRefused, TorchWithoutCuda, UnknownRoad, refused

ROADS = ("shim", "torch")
ROAD_VARIABLE = "HARNESS_CUPTI_ROAD"
MOST_BYTES = 2 << 30

# A fault of the target with CUDA graphs recorded as a whole: the one mode that has crashed so far.
_FAULTS = {128 + signal.SIGSEGV, 128 + signal.SIGABRT, 128 + signal.SIGBUS}
_CHILDREN_S = 1.0

_RANGE_REMEDY = {
    "cudaProfilerApi": "call torch.cuda.profiler.start() and .stop() around the steps to record, "
    "or use --capture-range nvtx:NAME or none",
    "nvtx": "check the name against the program's own ranges (nvtx or torch.cuda.nvtx), or use "
    "--capture-range none",
    "auto": "say when: --steps A:B, or --delay S",
    "none": "the program did not use CUDA through a package that is watched (PyTorch, CuPy, ...)",
}


class CuptiBackend:
    """Kernels, copies, CUDA calls, waits and host ranges, through the shim or torch.profiler."""

    name = "cupti"
    summary = "CUPTI inside a Python target: GPU, CUDA calls, ranges; needs no Nsight Systems"
    records = {"cuda": "cuda"}  # noqa: RUF012
    priority = 20

    def __init__(self, road: str | None = None, *, graph_from: str = "attach") -> None:
        self._road = road
        self._graph_from = graph_from

    def probe(self, device: str, tool: str | None = None) -> Availability:
        """Is there a GPU, no other profiler, and a road? Asks this interpreter's packages."""
        from . import plan

        if not environment.has_gpu():
            return Availability(False, "no NVIDIA GPU for CUPTI", "run on a GPU machine")
        profiler = plan.other_profiler(os.environ)
        if profiler is not None:
            return Availability(False, profiler, "run harness profile outside that profiler")
        try:
            road = plan.choose_road(plan.here(), self._asked())
        except CaptureError as error:
            return Availability(False, error.message, error.remedy)
        return Availability(True, road.reason)

    def record(self, config: CaptureConfig, progress: Progress) -> CaptureResult:
        """Run the target under the launcher, then turn what it left into a trace."""
        from . import plan

        target = plan.python_target(config.argv)
        profiler = plan.other_profiler({**os.environ, **dict(config.env)})
        if profiler is not None:
            raise CuptiInUse(profiler, remedy="run harness profile outside that profiler")
        found = plan.ask(target)
        road = plan.choose_road(found, self._asked())
        shim = None
        if road.name == "shim":
            progress.stage("preparing the CUPTI shim")
            alone = self._asked() == "shim" or found["torch_cuda"] is None
            road, shim = plan.prepare(road, required=alone)
        level = config.graph_trace or "node"
        notes = [road.reason]
        if road.name == "torch" and level == "graph":
            level = "node"
            notes.append(
                GraphsByNode("torch.profiler records CUDA graphs node by node, never as a whole")
            )
        session = {
            "shim": str(shim) if shim else None,
            "libcupti": road.library,
            "graph": level == "graph",
            "graph_from": self._graph_from,
            "nvtx": True,
            "records": config.records,
            "bare_s": config.bare_s,
            "evidence": NAMES,
            "max_bytes": MOST_BYTES,
        }
        progress.stage("recording")
        argv = under_launcher(
            target.interpreter, target.words, described(config, road.name, session)
        )
        told = Told(config.workdir, progress)
        ended = run_target(config, argv, progress, told)
        told.finish()
        notes += told.notes
        host = host_facts(config.workdir)
        _refuse_empty(config, ended, host, level)
        assert host is not None
        progress.stage("decoding")
        begun = time.monotonic()
        sqlite = config.workdir / "trace.sqlite"
        completeness, version, more = _decode(config.workdir, host, sqlite)
        notes += more
        missing = completeness.sentence()
        if missing:
            notes.append(missing)
        if host["session"].get("ignored_starts"):
            notes.append(
                StartsIgnored(
                    f"{host['session']['ignored_starts']} later cudaProfilerStart ignored: a "
                    "process is recorded once"
                )
            )
        interrupted = ended.interrupted
        code = 128 + signal.Signals[interrupted] if interrupted else ended.exit_code
        return CaptureResult(
            backend=self.name,
            exit_code=code,
            origin="measured",
            sqlite=sqlite,
            tool_version=version,
            options=(f"road={road.name}", f"graphs={level}", f"records={config.records}"),
            graph_trace=level,
            interrupted=interrupted,
            notes=tuple(notes),
            durations_s={
                "record": round(ended.wall_s, 3),
                "decode": round(time.monotonic() - begun, 3),
            },
            completeness={**completeness.to_dict(), "road": road.name},
            bare=_bare(config, road.name, host),
        )

    def _asked(self) -> str | None:
        asked = self._road or os.environ.get(ROAD_VARIABLE) or None
        if asked is not None and asked not in ROADS:
            raise UnknownRoad(f"{ROAD_VARIABLE} is {asked!r}", remedy=f"use {' or '.join(ROADS)}")
        return asked


def _bare(config: CaptureConfig, road: str, host: dict[str, Any]) -> dict[str, Any]:
    """The manifest's `bare`: blocks of steps with the recorder and without it, or why there are
    none."""
    recorder = "torch-profiler-cuda" if road == "torch" else f"cupti-{config.records}"
    found = host.get("bare") or {"reason": None, "blocks": []}
    return {
        "version": 1,
        "recorder": recorder,
        "library_version": host["session"].get("library_version"),
        "made_bare": "CUPTI was let go of",
        **found,
    }


def _refuse_empty(
    config: CaptureConfig, ended: Ended, host: dict[str, Any] | None, level: str
) -> None:
    """Raise what explains best that nothing was recorded."""
    if host is not None and host.get("refusal"):
        raise refused(host.get("code", ""), host["refusal"], host.get("remedy"))
    recorded = any((config.workdir / name).is_file() for name in ("records.bin", "trace.json"))
    if host is not None and recorded:
        return
    if ended.interrupted is not None:
        raise Interrupted(
            f"interrupted by {ended.interrupted} before anything was recorded",
            exit_code=128 + signal.Signals[ended.interrupted],
        )
    window = "window" if config.window else f"capture range ({config.capture_range})"
    if ended.exit_code != 0:
        inside = (config.workdir / "opened").exists()
        remedy = None
        if inside and level == "graph" and ended.exit_code in _FAULTS:
            remedy = "libcupti may have crashed on CUDA graphs as a whole: use --graph-trace node"
        raise TargetFailed(
            f"the target exited with code {ended.exit_code} {'inside' if inside else 'before'} its "
            f"{window}{'' if inside else ' opened'}; nothing was recorded",
            exit_code=ended.exit_code,
            remedy=remedy,
        )
    versions = host["versions"] if host is not None else {}
    if versions.get("torch") and versions["cuda"] is None:
        raise TorchWithoutCuda(
            f"PyTorch {versions['torch']} is built without CUDA: nothing was recorded"
        )
    if config.window is not None and host is not None and host.get("window"):
        raise never_opened(config, host["window"])
    remedy = _RANGE_REMEDY[config.capture_range.kind]
    if host is not None and host.get("children_s", 0) > _CHILDREN_S:
        remedy = (
            "the program worked in child processes, which are not recorded: run harness profile "
            "around the one that uses the GPU"
        )
    raise RangeNotOpened(
        f"the capture range {config.capture_range} never opened: nothing was recorded",
        remedy=remedy,
    )


def _decode(folder: Path, host: dict[str, Any], sqlite: Path) -> tuple[Any, str, list[str]]:
    """Write the trace; returns (completeness, a word for the tool's version, notes)."""
    from . import chrome, completeness, dump, export

    session = host["session"]
    if session["road"] == "shim":
        records = dump.read_dump(folder / "records.bin")
        records.extra["markers"] = bool(session.get("markers"))
        if records.start_result:
            raise CuptiRefused(
                f"CUPTI could not record: {session.get('error') or records.start_result}"
            )
    else:
        records = chrome.read_chrome(folder / "trace.json", session, host["threads"])
    found = completeness.check(records, host["ranges"])
    try:
        found = export.write_trace(sqlite, records, host, found)
    except TraceError as error:
        raise NoTraceWritten(error.message, remedy=error.remedy) from error
    notes: list[str] = []
    if records.capturing:
        notes.append(
            BegunInCapture(
                "a CUDA graph capture was in progress when the recording began: the GPU was not "
                "idled first, so work launched earlier may show without its launch"
            )
        )
    return found, f"libcupti {session.get('library_version')}", notes


if sys.platform == "linux":
    register(CuptiBackend())
