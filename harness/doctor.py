"""Can this machine record? Each check looks for one thing and knows how to mend it."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from . import environment
from .analysis.model.errors import TraceError
from .capture.base import CaptureConfig, CaptureRange, Progress, backends
from .capture.contents import look_into
from .capture.errors import ProbeFailed
from .capture.nsys.backend import NsysBackend
from .capture.nsys.errors import ToolFailed
from .capture.nsys.export import require_importer
from .capture.nsys.features import (
    INSTALL_REMEDY,
    NVTX_REMEDY,
    NsysFeatures,
    find_nsys,
    nvtx_trap,
    read_features,
)
from .own_python import own_python

RANGES = 200
_SECONDS = 1.0

TRIES = 2
"""How often a recording is tried before it counts as failed: nsys does not start every time."""

# A second of OS calls, where there is no nvtx here to open ranges with.
_PLAIN_PROBE = f"""
import time
for _ in range({RANGES}):
    time.sleep({_SECONDS / RANGES})
"""

# Opens RANGES ranges in about a second, as the decode loop does, inside the capture range.
_PROBE = f"""
import time, nvtx
step = nvtx.annotate("harness doctor", color="blue")
with nvtx.annotate("harness capture", color="orange"):
    for _ in range({RANGES}):
        with step:
            time.sleep({_SECONDS / RANGES})
"""

_CUDA_PROBE = """
import torch
a = torch.ones(256, 256, device="cuda")
torch.cuda.synchronize()
torch.cuda.profiler.start()
for _ in range(20):
    a = a @ a / 256
torch.cuda.synchronize()
torch.cuda.profiler.stop()
"""


@dataclass(frozen=True)
class Check:
    """One line: `ok`; `warn` where something can still be recorded without it; `fail` where not."""

    name: str
    status: Literal["ok", "warn", "fail"]
    found: str
    remedy: str | None = None


@dataclass(frozen=True)
class Diagnosis:
    """All checks. `can_record` is whether `harness profile` can make a recording here at all."""

    checks: tuple[Check, ...]
    can_record: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `--json`."""
        return {
            "doctor_version": 1,
            "can_record": self.can_record,
            "checks": [asdict(check) for check in self.checks],
        }


def diagnose(progress: Progress, nsys: str | None = None) -> Diagnosis:
    """Run every check; takes a few seconds, most of it a real recording. Never raises."""
    checks = list(_nsys_checks(progress, nsys))
    by_nsys = not any(check.status == "fail" for check in checks)
    checks += _package_checks()
    checks += _machine_checks()
    others = [
        (backend.name, place)
        for backend in backends().values()
        if backend.name != "nsys" and backend.priority is not None
        for place in backend.records.values()
        if backend.probe(place).ok
    ]
    recorders = dict.fromkeys(name for name, place in others if place != "sim")
    simulators = dict.fromkeys(name for name, place in others if place == "sim")
    if recorders:
        found = f"{', '.join(recorders)} can record here without nsys"
        checks.append(Check("other backends", "ok", found))
    if simulators:
        # A simulation is no recording: it mends nothing that failed above.
        found = f"{', '.join(simulators)} can predict a GPU's timeline here"
        checks.append(Check("simulation", "ok", found))
    return Diagnosis(tuple(checks), by_nsys or bool(recorders))


def _nsys_checks(progress: Progress, given: str | None) -> Iterator[Check]:
    try:
        path = find_nsys(given)
        if path is None:
            yield Check("nsys", "fail", "not found", INSTALL_REMEDY)
            return
        features = read_features(path)
    except TraceError as error:
        yield Check("nsys", "fail", error.message, error.remedy)
        return
    yield Check("nsys", "ok", f"{features.version} at {path}")
    missing: ToolFailed | None = None
    try:
        yield Check("importer", "ok", str(require_importer(features)))
    except ToolFailed as error:
        missing = error
    recording = list(_recording_checks(progress, features))
    if missing is not None:
        yield _unusable_importer(missing, recording)
        if recording[0].found == str(missing):
            return  # the recording failed for that alone, and so would every other
    yield from recording
    if environment.has_gpu() and (environment.versions() or {}).get("torch"):
        yield _cuda_check(progress, features)


def _unusable_importer(missing: ToolFailed, recording: list[Check]) -> Check:
    """Most nsys import by themselves: only one that does not makes a failure of a missing importer.

    Where no recording could be tried, which kind this is stays unknown.
    """
    status = {check.name: check.status for check in recording}.get("recording")
    if status == "ok":
        return Check(
            "importer", "ok", f"not needed: this nsys imports by itself ({missing.message})"
        )
    needed = recording[0].found == str(missing)
    return Check("importer", "fail" if needed else "warn", missing.message, missing.remedy)


def _recording_checks(progress: Progress, features: NsysFeatures) -> Iterator[Check]:
    """A real recording of a second: does it come back, and with every range that was opened?"""
    nvtx = (environment.versions() or {}).get("nvtx")
    program = _PLAIN_PROBE if nvtx is None else _PROBE
    # Where ranges get lost a capture range would never open, so all of the program is recorded.
    try:
        found = _tried(progress, features, program, "cpu", CaptureRange("none"))
    except TraceError as error:
        yield Check("recording", "fail", error.message, error.remedy)
        return
    what = "OS calls" if nvtx is None else "NVTX and OS calls"
    yield Check("recording", "ok", f"recorded, imported and exported a second of {what}")
    if nvtx is None:
        yield _no_nvtx()
        return
    pair = f"nvtx {nvtx} with nsys {features.version}"
    trap = nvtx_trap(features.release, nvtx)
    got = found.get("harness doctor", 0)
    if got == RANGES:
        helped = ", with the launcher's help" if trap else ""
        yield Check("nvtx", "ok", f"{pair}: {got} of {RANGES} ranges recorded{helped}")
    else:
        reason = f"; {trap}" if trap else ""
        yield Check(
            "nvtx", "fail", f"{pair}: {got} of {RANGES} ranges recorded{reason}", NVTX_REMEDY
        )


def _no_nvtx() -> Check:
    """Programs bring an nvtx of their own; ours are the ones that go without."""
    return Check(
        "nvtx",
        "warn",
        "not installed here: a program brings its own; profile --strategy and the Python API need "
        "it",
        "pip install 'nsys-harness[record]'",
    )


def _cuda_check(progress: Progress, features: NsysFeatures) -> Check:
    remedy = "nsys brings its own CUPTI: install an nsys that is as new as the driver"
    try:
        found = _tried(progress, features, _CUDA_PROBE, "cuda", CaptureRange("cudaProfilerApi"))
    except TraceError as error:
        return Check("CUDA tracing", "fail", error.message, error.remedy)
    rows = found[""]
    if rows == 0:
        return Check("CUDA tracing", "fail", "20 kernels were launched, none recorded", remedy)
    return Check("CUDA tracing", "ok", f"{rows} GPU operations recorded")


def _tried(
    progress: Progress,
    features: NsysFeatures,
    program: str,
    device: str,
    capture_range: CaptureRange,
) -> dict[str, int]:
    """`_probe`, and once more where it fails: what fails by chance does not fail twice."""
    for left in reversed(range(TRIES)):
        try:
            return _probe(progress, features, program, device, capture_range)
        except TraceError as error:
            if not left:
                raise
            progress.stage(f"the recording failed ({error.message}); trying once more")
    raise AssertionError("the last try returns or raises")


def _probe(
    progress: Progress,
    features: NsysFeatures,
    program: str,
    device: str,
    capture_range: CaptureRange,
) -> dict[str, int]:
    """Record `program`; range names with their counts, and under "" the number of GPU rows."""
    with tempfile.TemporaryDirectory(prefix="harness-doctor-") as folder:
        result = NsysBackend().record(
            CaptureConfig(
                argv=own_python("-c", program),
                device=device,
                workdir=Path(folder),
                capture_range=capture_range,
                tool=features.path,
            ),
            progress,
        )
        if result.failure is not None:
            raise ProbeFailed(result.failure)
        if result.exit_code != 0:
            raise ProbeFailed(f"the program recorded ended with code {result.exit_code}")
        assert result.sqlite is not None
        contents = look_into(result.sqlite)
        return {**dict(contents.names), "": contents.gpu_rows}


def _package_checks() -> Iterator[Check]:
    versions = environment.versions() or {}
    yield Check("Python", "ok", f"{versions['python']} at {sys.executable}")
    for package in ("torch", "transformers"):
        version = versions.get(package)
        if version is None:
            yield Check(
                package,
                "warn",
                "not installed here: profile --strategy, bench, strategies and predict --strategy "
                "need it; a program of your own is recorded with the Python that it runs on",
                "pip install 'nsys-harness[strategies]'",
            )
        else:
            yield Check(package, "ok", version)


def _machine_checks() -> Iterator[Check]:
    facts = environment.gpu_facts()
    if facts.gpus:
        names = ", ".join(str(gpu.name) for gpu in facts.gpus)
        yield Check("GPU", "ok", names)
        yield Check("driver", "ok", f"{facts.driver}, runs CUDA up to {facts.cuda}")
    elif environment.has_gpu():
        yield Check(
            "GPU",
            "warn",
            f"a device is there, but {facts.missing}",
            "install nvidia-smi with the driver: clocks and throttling stay unknown without it",
        )
    else:
        yield Check(
            "GPU",
            "warn",
            "none found",
            "use --device cpu for host step times, or record on a GPU machine",
        )
    level = environment.perf_paranoid()
    if level is None:
        yield Check(
            "permissions", "ok", "perf_event_paranoid cannot be read; nothing here needs it"
        )
    else:
        yield Check(
            "permissions", "ok", f"perf_event_paranoid is {level}; CPU sampling is not used"
        )
    free = shutil.disk_usage(tempfile.gettempdir()).free / 2**30
    if free < 1:
        yield Check(
            "space",
            "warn",
            f"{free:.1f} GiB free in {tempfile.gettempdir()}, where nsys gathers its recording",
            "free some, or set TMPDIR to a larger disk",
        )
    else:
        yield Check("space", "ok", f"{free:.0f} GiB free in {tempfile.gettempdir()}")
