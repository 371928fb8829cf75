"""What the profiler said about its own recording: `DIAGNOSTIC_EVENT`, in exports since 2024."""

from __future__ import annotations

import re

from ..model.errors import TraceError
from ..model.schema import DIAGNOSTIC, NULL, pid_of
from ..model.source import ERROR, WARNING, Diagnostic
from .sqlite.database import Database

LONGEST = 160
_PATH = re.compile(r"(?:[A-Za-z]:\\|~?/)(?!\s)[^\s'\";,)]+")
_ASSIGNED = re.compile(r"\b([A-Za-z_]\w*)=(?!…)\S+")
_NOISE = re.compile(
    # What every recording of a program without these says, and what concerns no figure here.
    r"OpenGL|Vulkan|DX1[12]|OS runtime|Scheduling information is absent|No NVTX events collected"
    # Samples of the CPU, and the names of functions in them.
    r"|\bCPU\b.*\b(sampl|backtrace|context switch)|perf.event.paranoid|event sampling data"
    r"|Failed to load symbols"
)


def safe(text: str) -> str:
    """A message on one line without control characters, paths and values of variables.

    >>> safe("cannot open /home/me/x.so,\\n HOME=/home/me")
    'cannot open …, HOME=…'
    """
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return _ASSIGNED.sub(r"\1=…", _PATH.sub("…", line))


def telling(severity: int, text: str) -> bool:
    """Does this message bear on a figure?"""
    return severity in (WARNING, ERROR) and bool(text) and not _NOISE.search(text)


def read_diagnostics(database: Database) -> tuple[Diagnostic, ...]:
    """Warnings and errors that bear on a figure, errors first, each text once."""
    try:
        rows = database.read(DIAGNOSTIC)
    except TraceError:
        return ()  # a table of remarks is no reason to refuse the figures
    counts: dict[tuple[int, str], int] = {}
    pids: dict[tuple[int, str], set[int]] = {}
    said = zip(rows["severity"].tolist(), rows["text"], rows["globalPid"].tolist(), strict=True)
    for severity, raw, process in said:
        text = safe(raw)
        if telling(severity, text):
            if len(text) > LONGEST:
                text = text[: LONGEST - 1] + "…"
            counts[severity, text] = counts.get((severity, text), 0) + 1
            if process not in (NULL, 0):
                pids.setdefault((severity, text), set()).add(pid_of(process))
    ordered = sorted(counts.items(), key=lambda item: -item[0][0])
    return tuple(
        Diagnostic(*key, count, tuple(sorted(pids.get(key, ())))) for key, count in ordered
    )
