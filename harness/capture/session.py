"""One recording from start to finish: reserve a name, record, look inside, describe, publish."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from .. import environment
from ..errors import CaptureError
from ..manifest import RunManifest, now, redacted
from ..version import __version__
from .base import (
    BARE_S,
    CaptureBackend,
    CaptureConfig,
    CaptureRange,
    CaptureResult,
    Progress,
    interpreter,
)
from .contents import Contents, look_into
from .errors import CommandNotFound, NoStepsRecorded, NotExecutable
from .nsys.features import NVTX_REMEDY
from .publish import Place, publish, reserve, unwritable
from .remarks import Kept
from .window import Window


@dataclass(frozen=True)
class Plan:
    """What to record and where to put it.

    `argv` is the target. `stem` names the files; with `number` a taken name is counted up, without
    it a taken name is an error unless `force`. `own_target` says that `argv` is the harness's own
    target, which can be asked for its result; with `needs_steps` a recording that holds none of the
    harness's step ranges is refused. `rank` is this process's among several, whose files `together`
    matches as a pattern of stems. `window` goes with the range `auto`. `about` are further manifest
    fields (strategy, choices, workload, seeds, label). `keep` leaves the private folder of a failed
    recording there.
    """

    argv: tuple[str, ...]
    backend: CaptureBackend
    device: str
    capture_range: CaptureRange
    output_dir: Path
    stem: str
    number: bool = True
    force: bool = False
    keep: bool = False
    window: Window | None = None
    graph_trace: Literal["graph", "node"] | None = None
    tool: str | None = None
    gpu: str | None = None
    records: Literal["light", "full"] = "light"
    bare_s: float = BARE_S
    rank: int | None = None
    together: str | None = None
    own_target: bool = False
    needs_steps: bool = False
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Recording:
    """A finished recording: final paths by suffix, its manifest, and what is in it.

    `failure` says what went wrong after the recording itself; the files named are there all the
    same. `exit_code` is the target's own, or 125 where it is 0 and there is a `failure`. `together`
    is the plan's.
    """

    files: Mapping[str, Path]
    manifest: RunManifest
    contents: Contents | None
    exit_code: int
    failure: str | None
    together: str | None = None


def check_target(argv: tuple[str, ...]) -> None:
    """Find the program as a shell would; TargetFailed: 127 not found, 126 not runnable."""
    name = argv[0]
    if shutil.which(name) is not None:
        return
    if os.path.isdir(name) or ("/" in name and os.path.exists(name)):
        raise NotExecutable(
            f"{name}: not an executable file",
            exit_code=126,
            remedy=f"make it executable, or run it with its interpreter: -- python {name}",
        )
    raise CommandNotFound(f"{name}: not found", exit_code=127)


def record(plan: Plan, progress: Progress) -> Recording:
    """Carry out `plan`.

    Raises CaptureError (125) where there is no usable recording, TargetFailed with the target's own
    code where it failed first, Interrupted where the user stopped it before anything was recorded.
    Whatever is raised, nothing half-done stays behind.
    """
    check_target(plan.argv)
    with reserve(
        plan.output_dir, plan.stem, force=plan.force, number=plan.number, keep=plan.keep
    ) as place:
        try:
            return _record(plan, place, progress)
        except CaptureError:
            if plan.keep:
                progress.note(Kept(f"kept what there is in {place.workdir}"))
            raise


def _record(plan: Plan, place: Place, progress: Progress) -> Recording:
    gpus = environment.gpu_facts()
    started_at = now()
    told = place.workdir / "result.json"
    config = CaptureConfig(
        argv=(*plan.argv, f"--result={told}") if plan.own_target else plan.argv,
        device=plan.device,
        workdir=place.workdir,
        capture_range=plan.capture_range,
        window=plan.window,
        graph_trace=plan.graph_trace,
        tool=plan.tool,
        gpu=plan.gpu,
        records=plan.records,
        bare_s=plan.bare_s,
    )
    try:
        result = plan.backend.record(config, progress)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise unwritable(place.folder, error) from error
        # It was found and may be executed, and still the system would not: no "#!", wrong machine.
        raise NotExecutable(
            f"{error.filename or plan.argv[0]}: {error.strerror or error}", exit_code=126
        ) from error
    contents = None if result.sqlite is None else look_into(result.sqlite)
    if contents is not None and contents.steps == 0 and plan.needs_steps:
        _refuse(plan, result, contents)
    manifest = _manifest(plan, result, contents, gpus, started_at, _told(told))
    files = _place_files(place, result, manifest, force=plan.force)
    code = result.exit_code
    if result.failure is not None and code == 0:
        code = CaptureError.exit_code
    return Recording(files, manifest, contents, code, result.failure, plan.together)


def _refuse(plan: Plan, result: CaptureResult, contents: Contents) -> None:
    """A finished run without its steps is worthless, and looks like an idle GPU: say why."""
    if result.exit_code != 0:
        return  # it failed or was stopped on the way: the exit code tells
    found = f"{contents.ranges} NVTX ranges, none of them a step"
    if result.lost_ranges and not contents.ranges:
        raise NoStepsRecorded(
            f"the recording holds no steps: {result.lost_ranges}", remedy=NVTX_REMEDY
        )
    raise NoStepsRecorded(f"the recording holds {found}")


def _told(path: Path) -> dict[str, Any]:
    """What the harness's own target wrote about its run; empty where it wrote nothing."""
    try:
        told = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


# These stand elsewhere in the manifest.
_NOT_RESULT = ("strategy", "choices", "workload", "versions", "device")


def _manifest(
    plan: Plan,
    result: CaptureResult,
    contents: Contents | None,
    before: environment.GpuFacts,
    started_at: str,
    told: dict[str, Any],
) -> RunManifest:
    after = environment.gpu_facts() if before.gpus else before
    device: dict[str, Any] = {"kind": plan.device, **told.get("device", {})}
    left_out = []
    if plan.device == "cuda":
        throttled = environment.throttled_between(before, after)
        device |= {**after.to_dict(), "before": before.to_dict()["gpus"], "throttled_us": throttled}
        if after.missing:
            left_out.append(after.missing)
    elif contents is not None and contents.gpu_rows == 0:
        left_out.append("GPU activity: the target ran on the CPU")
    if result.sqlite is None and result.backend != "null":
        left_out.append("SQLite export")
    program = interpreter(plan.argv)
    versions = None if program is None else environment.versions(program)
    versions = {**(versions or {}), **told.get("versions", {}), "harness": __version__}
    if program is None:
        left_out.append("versions: the target is no Python that could be asked")
    if result.lost_ranges and contents is not None and contents.ranges == 0:
        left_out.append(f"NVTX ranges: {result.lost_ranges}; {NVTX_REMEDY}")
    git = environment.git_facts()
    if git is None:
        left_out.append("git revision: the working directory is in no repository")
    return RunManifest(
        origin=result.origin,
        capture={
            "backend": result.backend,
            "graph_trace": result.graph_trace,
            "range": str(plan.capture_range),
            "window": _window(plan),
            "tool_version": result.tool_version,
            "options": list(result.options),
            "interrupted": result.interrupted,
            "completeness": _completeness(result, contents, told),
        },
        exit_code=result.exit_code,
        argv=list(redacted(plan.argv)),
        device=device,
        host=environment.host_facts(),
        versions=versions,
        git=git,
        rank=plan.rank,
        started_at=started_at,
        durations_s=dict(result.durations_s),
        steps_recorded=None if contents is None else contents.steps,
        bare=result.bare,
        result={key: told[key] for key in told if key not in _NOT_RESULT} or None,
        notes=list(result.notes) + ([result.failure] if result.failure else []),
        left_out=left_out,
        **plan.about,
    )


def _window(plan: Plan) -> dict[str, Any] | None:
    """What was asked for, where the window was looked for while the program ran."""
    return None if plan.window is None else {"asked": str(plan.window), **plan.window.to_dict()}


def _completeness(
    result: CaptureResult, contents: Contents | None, told: dict[str, Any]
) -> dict[str, Any]:
    """Step ranges that the target opened in its window, against those in the trace."""
    issued = told.get("window", {}).get("recorded_steps")
    if contents is None or issued is None:
        return dict(result.completeness)
    return {"ranges_issued": issued, "ranges_found": contents.steps, **result.completeness}


def _place_files(
    place: Place, result: CaptureResult, manifest: RunManifest, *, force: bool
) -> dict[str, Path]:
    described = place.workdir / "report.json"
    try:
        manifest.write(described)
    except OSError as error:
        raise unwritable(place.folder, error) from error
    files = {path.suffix: path for path in (result.report, result.sqlite) if path is not None}
    return publish(place, {**files, ".json": described}, force=force)
