"""Open a report in the Nsight Systems GUI, or say why that cannot be."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from . import talk
from .capture.nsys.features import find_nsys, parse_version, read_features
from .errors import HarnessError, NoSuchFile
from .errors.gui import GuiFailed, GuiNotFound, NewerReport, NoDisplay, NotAReport
from .manifest import RunManifest, manifest_beside

_NO_DISPLAY = "copy the file to a machine with a screen and open it in Nsight Systems there"


def report_of(trace: Path) -> Path:
    """The .nsys-rep to open for `trace` (itself, or the one beside it); HarnessError if none."""
    if not trace.exists():
        raise NoSuchFile(f"{trace}: no such file")
    if trace.is_dir():
        return _newest_report(trace)
    if trace.suffix in (".nsys-rep", ".qdrep"):
        return trace
    if trace.suffix == ".qdstrm":
        raise NotAReport(
            f"{trace} is a raw recording, not yet a report",
            remedy=f"import it with the same version of Nsight Systems: QdstrmImporter -i {trace}",
        )
    if trace.suffix not in (".sqlite", ".json"):
        raise NotAReport(
            f"{trace} is not a report of Nsight Systems", remedy="give a .nsys-rep or its .sqlite"
        )
    beside = trace.with_suffix(".nsys-rep")
    if beside.exists():
        return beside
    manifest = _manifest(trace)
    how = "" if manifest is None else f": it was recorded with {manifest.capture.get('backend')}"
    raise NotAReport(
        f"{trace} has no .nsys-rep beside it{how}",
        remedy="the GUI opens reports of nsys only; 'harness gaps' reads the SQLite file",
    )


def _newest_report(folder: Path) -> Path:
    """The report in a folder that was written last, which is said. Raises NotAReport."""
    reports = sorted(folder.glob("*.nsys-rep"), key=lambda path: path.stat().st_mtime_ns)
    if not reports:
        raise NotAReport(f"{folder} holds no report of Nsight Systems", remedy="give a .nsys-rep")
    if len(reports) > 1:
        talk.say(f"{reports[-1]}: the newest of {len(reports)} reports in {folder}")
    return reports[-1]


def _manifest(trace: Path) -> RunManifest | None:
    """The manifest beside it; a NAME.json of another kind, an export for example, is none."""
    with contextlib.suppress(HarnessError):
        return manifest_beside(trace)
    return None


def find_viewer() -> str | None:
    """Path of nsys-ui: on PATH, or in the installation that nsys belongs to."""
    found = shutil.which("nsys-ui")
    if found is not None:
        return found
    nsys = find_nsys()
    if nsys is None:
        return None
    for folder in Path(os.path.realpath(nsys)).parents[:4]:
        for place in (folder, folder / "bin", *folder.glob("host-linux-*")):
            path = place / "nsys-ui"
            if os.access(path, os.X_OK) and path.is_file():
                return str(path)
    return None


def open_report(trace: Path, env: Mapping[str, str] = os.environ) -> str:
    """Start the GUI on the report of `trace` and let it run; returns the report's path.

    Raises HarnessError where there is no report, no GUI, no display, or where the GUI is older than
    the nsys that recorded, and when it ends at once with an error.
    """
    report = report_of(trace)
    viewer = find_viewer()
    if viewer is None:
        raise GuiNotFound(
            "nsys-ui is not installed (command-line packages of Nsight Systems leave it out)",
            remedy=f"install the full package, or {_NO_DISPLAY}: {report}",
        )
    if not env.get("DISPLAY") and not env.get("WAYLAND_DISPLAY"):
        raise NoDisplay("there is no display here", remedy=f"{_NO_DISPLAY}: {report}")
    _check_age(report)
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [viewer, str(report.resolve())],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        deadline = time.monotonic() + 2.0
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        if process.returncode:
            said.seek(0)
            raise GuiFailed(
                f"nsys-ui ended with code {process.returncode} and said: "
                f"{_telling_line(said.read().decode(errors='replace'))}",
                remedy=f"try it by hand: {viewer} {report}",
            )
    return str(report)


def _telling_line(said: str) -> str:
    """The first line that names an error, else the last: the wrapper warns at length before it."""
    lines = [line.strip() for line in said.splitlines() if line.strip()] or ["nothing"]
    words = re.compile(r"could not|cannot|can't|error|failed", re.IGNORECASE)
    telling = (ln for ln in lines if words.search(ln) and not ln.startswith("Warning"))
    return next(telling, lines[-1])[:200]


def _check_age(report: Path) -> None:
    """An older GUI cannot read a newer report, and says so only in a dialogue box."""
    manifest = _manifest(report)
    nsys = find_nsys()
    recorded = None if manifest is None else manifest.capture.get("tool_version")
    if nsys is None or not isinstance(recorded, str):
        return
    made, _ = parse_version(recorded)
    here = read_features(nsys)
    if tuple(map(int, made.split("."))) > tuple(map(int, here.version.split("."))):
        raise NewerReport(
            f"{report} was recorded with nsys {made}, the one here is {here.version}",
            remedy=f"open it with Nsight Systems {made} or newer",
        )
