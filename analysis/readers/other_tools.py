"""Files of other tools, packed files and stand-ins for files: what each is, and what helps."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from msgspec import Struct

from ..model.errors import TraceError
from .errors import ForeignFile
from .formats import BOM

LOOKED_AT = 512
"""First bytes that say what a file is."""


class Kind(Struct, frozen=True):
    """`what` it is, with an article; `remedy`: what helps. `{}` stands for the file's name."""

    what: str
    remedy: str
    start: re.Pattern[bytes] | None = None
    """What its first bytes match."""
    endings: tuple[str, ...] = ()
    """What its name ends with, where its bytes say nothing."""


_RECORD = "record with `nsys profile --trace=cuda,nvtx`, and export that"
_TORCH = "record with torch.profiler, and give what export_chrome_trace() writes"

_KINDS = (
    Kind(
        "a pointer of Git LFS in the place of the file",
        "fetch the file: `git lfs pull --include={}`",
        re.compile(rb"version https://git-lfs\.github\.com/spec/"),
    ),
    Kind(
        "a pointer of git-annex in the place of the file",
        "fetch the file: `git annex get {}`",
        re.compile(rb"(\.\./)*(\.git)?/annex/objects/"),
    ),
    Kind(
        "an HTML page: a page about the file was saved in its place",
        "download the file itself: `curl -L -o {} URL`, with the address of the raw file",
        re.compile(rb"\s*(<!--[^>]*-->\s*)*<(!doctype\s+html|html|head|body)\b", re.IGNORECASE),
    ),
    Kind("a ZIP archive", "unpack it: `unzip {}`", re.compile(rb"PK(\x03\x04|\x05\x06)")),
    Kind("packed by zstd", "unpack it: `unzstd {}`", re.compile(rb"\x28\xb5\x2f\xfd")),
    Kind("packed by xz", "unpack it: `unxz {}`", re.compile(rb"\xfd7zXZ\x00")),
    Kind("packed by bzip2", "unpack it: `bunzip2 {}`", re.compile(rb"BZh[1-9]1AY&SY")),
    Kind("a 7z archive", "unpack it: `7z x {}`", re.compile(rb"7z\xbc\xaf\x27\x1c")),
    Kind(
        "a tar archive",
        "unpack it: `tar xf {}`",
        re.compile(rb".{257}ustar", re.DOTALL),
    ),
    Kind(
        "what nvprof printed, not a recording",
        f"nvprof is no longer made: {_RECORD}",
        re.compile(rb"==\d+== (NVPROF|Profiling)"),
    ),
    Kind(
        "a report of Nsight Compute, which knows single kernels and no time line",
        _RECORD,
        re.compile(rb"NVR\x00"),
        (".ncu-rep", ".nsight-cuprof-report"),
    ),
    Kind(
        "a report of an older Nsight Systems",
        "export it: `nsys export --type sqlite {}`",
        endings=(".qdrep",),
    ),
    Kind(
        "a recording that Nsight Systems did not finish",
        "import it: `QdstrmImporter -i {}`, and give the .nsys-rep",
        endings=(".qdstrm",),
    ),
    Kind(
        "a Perfetto trace, which other tools write for its viewer",
        f"give the recording that it was made from; of an AMD GPU, {_TORCH}",
        endings=(".pftrace", ".perfetto-trace"),
    ),
    Kind(
        "a profile by TensorFlow or JAX",
        "PyTorch's loops alone are read: " + _TORCH,
        endings=(".xplane.pb",),
    ),
)

_SQLITE = b"SQLite format 3\x00"


def refuse_foreign(path: Path) -> None:
    """Raise ForeignFile where a file's first bytes, or else its name, are another tool's.

    A file that cannot be read is none: whoever reads it next says why.
    """
    try:
        if not path.is_file():
            return
        with path.open("rb") as file:
            head = file.read(LOOKED_AT)
    except OSError:
        return
    found = foreign(path, head)
    if found is not None:
        raise found


def foreign(path: Path, head: bytes) -> TraceError | None:
    """What to say of a file with these first bytes; None where it may be a trace."""
    if head.startswith(_SQLITE) or head.removeprefix(BOM).lstrip()[:1] in (b"{", b"["):
        return None
    name = path.name.lower()
    for kind in _KINDS:
        said = kind.start is not None and kind.start.match(head.removeprefix(BOM))
        if said or (head and name.endswith(kind.endings)):
            return _error(path, kind.what, kind.remedy)
    return None


def unpacked(path: Path, head: bytes) -> TraceError | None:
    """The same for what stands inside a gzipped file."""
    if head.startswith(_SQLITE):
        return _error(path, "an SQLite file inside gzip", "unpack it: `zcat {} > trace.sqlite`")
    return foreign(path, head)


def refuse_foreign_tables(path: Path, tables: Collection[str]) -> None:
    """Raise ForeignFile where the tables of a database are those of another tool."""
    names = {name.lower() for name in tables}
    if "stringtable" in names and any(name.startswith("cupti_activity_") for name in names):
        raise _error(
            path,
            "a file of nvprof (or of the Visual Profiler)",
            f"nvprof is no longer made, and its files lack what the figures need: {_RECORD}",
        )
    if any(name.startswith("rocpd_") for name in names):
        raise _error(path, "a rocpd database, of rocprofv3 or RPD", _TORCH)
    if path.name.startswith("dlprof_dldb") or {"ops", "kernels", "iterations"} <= names:
        raise _error(
            path,
            "a database of DLProf",
            "give the recording of nsys that DLProf keeps beside it: `nsys export --type sqlite "
            "nsys_profile.qdrep`",
        )
    own = "cupti_activity_kind_runtime" in names or "nvtx_events" in names
    if (path.name.startswith("hip-prof") and not own) or any(
        name.startswith("hipprof") for name in names
    ):
        raise _error(path, "a database of hipprof", _TORCH)
    if {"slice", "thread_track"} <= names:
        raise _error(path, "a database of Perfetto's trace processor", _TORCH)


def _error(path: Path, what: str, remedy: str) -> ForeignFile:
    return ForeignFile(f"{path} is {what}", remedy=remedy.replace("{}", _quoted(path)))


def _quoted(path: Path) -> str:
    import shlex

    return shlex.quote(str(path))
