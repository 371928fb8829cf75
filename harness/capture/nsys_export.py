"""From what nsys leaves to a report and its SQLite: import a raw stream, export a report."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..errors import CaptureError
from .nsys_argv import export_argv, import_argv
from .nsys_features import NsysFeatures, answer_of, parse_version
from .processes import Ended, supervise

# Debian splits the package: its nsys stands where it does not find its own importer.
_IMPORTER_PLACES = (
    "/usr/lib/nsight-systems/host-linux-*/QdstrmImporter",
    "/opt/nvidia/nsight-systems/*/host-linux-*/QdstrmImporter",
)


class ToolFailed(CaptureError):
    """The importer or the exporter failed; what was recorded before it is still there."""


class ToolInterrupted(CaptureError):
    """The user stopped the importer or the exporter; `signal_name` is the signal."""

    def __init__(self, message: str, signal_name: str) -> None:
        super().__init__(message)
        self.signal_name = signal_name


@dataclass(frozen=True)
class Importer:
    """A QdstrmImporter and its full build, as `nsys --version` names it."""

    path: str
    build: str


def find_importers(features: NsysFeatures) -> list[Importer]:
    """Every QdstrmImporter in reach of this nsys, the one of its own build first."""
    own = Path(os.path.realpath(features.path))
    folders = [folder for start in (own, Path(features.path)) for folder in start.parents[:4]]
    found = [
        path
        for folder in folders
        if len(folder.parts) > 1
        # host-linux-x64 in Nsight Systems; other names where another tool carries nsys.
        for path in (*folder.glob("*/QdstrmImporter"), folder / "QdstrmImporter")
    ]
    for pattern in _IMPORTER_PLACES:
        found += sorted(Path("/").glob(pattern.lstrip("/")))
    on_path = shutil.which("QdstrmImporter")
    if on_path is not None:
        found.append(Path(on_path))
    usable = {os.path.realpath(path): path for path in found if os.access(path, os.X_OK)}
    importers = [Importer(path, _build(path)) for path in usable]
    return sorted(importers, key=lambda importer: importer.build != features.build)


def _build(path: str) -> str:
    try:
        return parse_version(answer_of(path, "--version"))[1]
    except CaptureError:
        return "unknown"


def require_importer(features: NsysFeatures) -> Importer:
    """The importer of exactly this nsys build; others refuse the file ('versions must match')."""
    importers = find_importers(features)
    if importers and importers[0].build == features.build:
        return importers[0]
    if importers:
        others = ", ".join(f"{item.build} at {item.path}" for item in importers)
        raise ToolFailed(
            f"nsys {features.build} needs the QdstrmImporter of its own build, found {others}",
            remedy=f"install the full Nsight Systems {features.version}, host part included",
        )
    raise ToolFailed(
        f"nsys {features.version} left a raw .qdstrm and no QdstrmImporter is installed",
        remedy=f"install the full Nsight Systems {features.version} package, host part included, "
        "or import the .qdstrm where it is installed: QdstrmImporter -i FILE.qdstrm",
    )


def import_qdstrm(
    features: NsysFeatures,
    qdstrm: Path,
    report: Path,
    on_tick: Callable[[float], None] = lambda elapsed_s: None,
) -> Importer:
    """Turn a raw stream into a report with the importer of the same build, which is returned."""
    importer = require_importer(features)
    _run(import_argv(importer.path, str(qdstrm), str(report)), report, "QdstrmImporter", on_tick)
    return importer


def export_sqlite(
    features: NsysFeatures,
    report: Path,
    sqlite: Path,
    on_tick: Callable[[float], None] = lambda elapsed_s: None,
) -> None:
    """`nsys export` of a report to SQLite.

    Raises ToolFailed with nsys's own words, ToolInterrupted when the user stopped it.
    """
    _run(export_argv(features, str(report), str(sqlite)), sqlite, "nsys export", on_tick)


def _run(argv: list[str], output: Path, name: str, on_tick: Callable[[float], None]) -> Ended:
    said: list[str] = []

    def hear(piece: str) -> None:
        # Progress bars are redrawn without line ends; keep the words between them.
        words = re.sub(
            r"(Processing|Exporting \d+ events:|Importing) \[[^\]]*\]", "", piece
        ).strip()
        if words:
            said.append(words)

    ended = supervise(argv, on_output=hear, on_tick=on_tick, grace_s=2.0, helpers=("nsys",))
    if ended.interrupted is not None:
        output.unlink(missing_ok=True)
        raise ToolInterrupted(f"{name} was interrupted by {ended.interrupted}", ended.interrupted)
    if ended.exit_code != 0 or not output.is_file() or output.stat().st_size == 0:
        output.unlink(missing_ok=True)
        words = " ".join(said)[-300:] or "nothing"
        raise ToolFailed(
            f"{name} failed with exit code {ended.exit_code} and said: {words}",
            remedy="check free space; SQLite also needs a file system that can lock files",
        )
    return ended
