"""From what nsys leaves to a report and its SQLite: import a raw stream, export a report."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...errors import CaptureError
from ..processes import Ended, supervise
from .argv import export_argv, import_argv
from .cpu_times import add_cpu_times
from .errors import ImporterMissing, ToolFailed, ToolInterrupted, ToolNotStarted
from .features import NsysFeatures, answer_of, parse_version

# Debian splits the package: its nsys stands where it does not find its own importer.
_IMPORTER_PLACES = (
    "/usr/lib/nsight-systems/host-linux-*/QdstrmImporter",
    "/opt/nvidia/nsight-systems/*/host-linux-*/QdstrmImporter",
)

# The package of a library that an importer was seen to lack on a bare machine, by Debian's name.
_PACKAGES = {"libdw.so.1": "libdw1"}

ROOM = 1 << 20
"""Bytes of free space below which a file may have been cut short."""


@dataclass(frozen=True)
class Importer:
    """A QdstrmImporter and what it says of itself.

    `build` is the full build as `nsys --version` names it, or None where it names none; `own`:
    it stands in this nsys's own installation; `broken`: why it cannot be started, or None.
    """

    path: str
    build: str | None
    own: bool
    broken: ToolFailed | None = None

    def serves(self, features: NsysFeatures) -> bool:
        """Is it the one of this nsys? Some name no build; then the place they stand in tells."""
        if self.broken is not None:
            return False
        return self.build == features.build or (self.build is None and self.own)

    def __str__(self) -> str:
        return f"QdstrmImporter {self.build or 'of its own installation'} at {self.path}"


def find_importers(features: NsysFeatures) -> list[Importer]:
    """Every QdstrmImporter in reach of this nsys: the one of its build first, then its own."""
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
    importers = [_asked(path, own) for path in map(str, usable)]
    return sorted(importers, key=lambda one: (one.build != features.build, not one.own))


def _asked(path: str, nsys: Path) -> Importer:
    # nsys stands in target-linux-x64/ or bin/ of its installation, the importer in host-*/ of it.
    own = nsys.parent.parent in Path(path).parents[:2]
    try:
        said = answer_of(path, "--version")
    except CaptureError as error:
        return Importer(path, None, own, ToolNotStarted(error.message, remedy=error.remedy))
    lacking = _lacking_library(path, said)
    if lacking is not None:  # the loader names the program's path, which may hold a version
        return Importer(path, None, own, lacking)
    try:
        return Importer(path, parse_version(said)[1], own)
    except CaptureError:
        return Importer(path, None, own)


def _lacking_library(path: str, said: str) -> ToolFailed | None:
    """The error of a program that the loader refused, by what it said; else None."""
    found = re.search(r"error while loading shared libraries: ([^\s:]+)", said)
    if found is None:
        return None
    library = found[1]
    package = _PACKAGES.get(library)
    return ToolNotStarted(
        f"{path} cannot be started: the library {library} is missing",
        remedy=f"install it: apt-get install {package} on Debian or Ubuntu"
        if package
        else "install the package that holds it (apt-file search names it on Debian or Ubuntu)",
    )


def require_importer(features: NsysFeatures) -> Importer:
    """The importer of exactly this nsys build; others refuse the file ('versions must match').

    Raises ToolFailed where there is none, or where it cannot be started.
    """
    importers = find_importers(features)
    for one in importers:
        if one.serves(features):
            return one
    others_start = any(one.broken is None for one in importers)
    for one in importers:
        if one.broken is not None and (one.own or not others_start):
            raise one.broken
    if importers:
        others = ", ".join(f"{item.build or 'unknown'} at {item.path}" for item in importers)
        raise ImporterMissing(
            f"nsys {features.build} needs the QdstrmImporter of its own build, found {others}",
            remedy=f"install the full Nsight Systems {features.version}, host part included",
        )
    raise ImporterMissing(
        f"nsys {features.version} left a raw .qdstrm and no QdstrmImporter is installed",
        remedy=f"install the full Nsight Systems {features.version} package, host part included, "
        "or import the .qdstrm where it is installed: QdstrmImporter -i FILE.qdstrm",
    )


def own_importer_lacks(features: NsysFeatures) -> ToolFailed | None:
    """Why the importer of nsys's own installation cannot be started; None where it can be."""
    importers = find_importers(features)
    if any(one.serves(features) for one in importers):
        return None
    return next((one.broken for one in importers if one.own and one.broken), None)


def import_qdstrm(
    features: NsysFeatures,
    qdstrm: Path,
    report: Path,
    on_tick: Callable[[float], None] = lambda elapsed_s: None,
) -> Importer:
    """Turn a raw stream into a report with the importer of the same build, which is returned."""
    importer = require_importer(features)
    _run(
        import_argv(importer.path, str(qdstrm), str(report)), report, "QdstrmImporter", on_tick,
        remedy=f"import it by hand to see more: {importer.path} -i FILE.qdstrm",
    )  # fmt: skip
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
    _run(
        export_argv(features, str(report), str(sqlite)), sqlite, "nsys export", on_tick,
        remedy="the file is not a report of Nsight Systems, is damaged, or was made by a newer "
        f"nsys than this {features.version}: record it again, or export it with the nsys that "
        "made it",
    )  # fmt: skip
    add_cpu_times(sqlite)


def _run(
    argv: list[str], output: Path, name: str, on_tick: Callable[[float], None], *, remedy: str
) -> Ended:
    """`remedy` is for a tool that refused its input, and not for want of room or of locks."""
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
        words = " ".join(said)
        lacking = _lacking_library(argv[0], words)
        if lacking is not None:
            raise lacking
        raise ToolFailed(
            f"{name} failed with exit code {ended.exit_code} and said: {words[-300:] or 'nothing'}",
            remedy=_hindered(words, output.parent) or remedy,
        )
    return ended


def _hindered(words: str, folder: Path) -> str | None:
    """How to mend what kept a tool from writing into `folder`; None where nothing did."""
    if shutil.disk_usage(folder).free < ROOM or re.search(r"(?i)no space|disk is full", words):
        return f"free some space in {folder.parent}"
    if re.search(r"(?i)\block", words):
        return f"{folder.parent} is on a file system without locks, which SQLite needs: use another"
    return None
