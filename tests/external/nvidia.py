"""Runs NVIDIA's own recorder, exporter, gaps rule and reports, and reads what they print.

Every call runs in an empty folder: nsys imports any Python file of the current folder that has the
name of a report.
"""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

IMPORTERS = (
    "/usr/lib/nsight-systems/host-linux-x64/QdstrmImporter",  # Debian, where its nsys does not look
    "/opt/nvidia/nsight-systems*/*/host-linux-x64/QdstrmImporter",
)


@dataclass(frozen=True)
class Gap:
    """One row of the gaps rule: NVIDIA looks at one process and one device ordinal at a time."""

    pid: int
    device: int
    start: int
    end: int


@dataclass(frozen=True)
class Projection:
    """One row of the GPU projection report; times in ns."""

    name: str
    start: int
    end: int
    host_start: int
    host_end: int
    pid: int
    tid: int
    launches: int
    """Distinct correlation ids, not operations."""


class NoData(Exception):
    """NVIDIA's report skipped a file that has nothing for it."""


def unavailable(reason: str) -> None:
    """Skip, or fail where the run is meant to have everything."""
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(f"{reason}; in CI this check may not be left out", pytrace=False)
    pytest.skip(reason)


@dataclass(frozen=True)
class Nsys:
    """NVIDIA's tools as installed here; `folder` is scratch space of one test."""

    executable: str
    folder: Path

    @classmethod
    def find(cls, folder: Path) -> Nsys:
        """The nsys on PATH; without one the test is skipped, or fails where CI=true."""
        executable = shutil.which("nsys")
        if executable is None:
            unavailable("nsys is not on PATH: run .ci/install-nsys")
        assert executable is not None
        return cls(executable, folder)

    def name(self, *candidates: str) -> str:
        """The name that this version has for a rule or report, options included."""
        for candidate in candidates:
            if re.search(
                rf"^ +{re.escape(candidate.partition(chr(58))[0])}\b", _help(self.executable), re.M
            ):
                return candidate
        raise AssertionError(f"this nsys has none of {', '.join(candidates)}")

    def record(self, program: list[str], *, trace: str = "nvtx,osrt") -> Path:
        """Profile a program and export what was recorded; returns the SQLite file."""
        report = self.folder / "recording"
        options = [f"--trace={trace}", "--sample=none", "--cpuctxsw=none", "-o", str(report)]
        self._run("profile", *options, *program)
        stream, finished = report.with_suffix(".qdstrm"), report.with_suffix(".nsys-rep")
        if not finished.exists():
            assert stream.exists(), "nsys left neither a report nor a .qdstrm"
            importer = next(
                (
                    str(found)
                    for pattern in IMPORTERS
                    for found in sorted(Path("/").glob(pattern.removeprefix("/")))
                ),
                None,
            )
            assert importer is not None, "nsys left a .qdstrm and its QdstrmImporter is nowhere"
            self._check([importer, "-i", str(stream), "-o", str(finished)])
        exported = report.with_suffix(".sqlite")
        self._run("export", "--type", "sqlite", "-o", str(exported), str(finished))
        assert exported.exists(), "nsys export said nothing and wrote nothing"
        return exported

    def gaps(self, sqlite: Path, *, gap_ms: int = 0) -> set[Gap]:
        """Every gap that NVIDIA's rule reports.

        The rule takes whole milliseconds and keeps what is strictly longer; 0 keeps all.
        """
        rule = self.name("gpu-starv", "gpu_gaps")
        rows = self._table("analyze", f"{rule}:gap={gap_ms}:rows=-1", sqlite)
        return {
            Gap(
                pid=int(row["PID"]),
                device=int(row["Device ID"]),
                start=int(row["Start (ns)"]),
                end=int(row["Start (ns)"]) + int(row["Duration (ns)"]),
            )
            for row in rows
        }

    def projections(self, sqlite: Path) -> list[Projection]:
        """The GPU projection of every range that has one."""
        report = self.name("nvtxgpuproj", "nvtx_gpu_proj_trace")
        return [
            Projection(
                name=row["Name"],
                start=int(row["Projected Start (ns)"]),
                end=int(row["Projected Start (ns)"]) + int(row["Projected Duration (ns)"]),
                host_start=int(row["Orig Start (ns)"]),
                host_end=int(row["Orig Start (ns)"]) + int(row["Orig Duration (ns)"]),
                pid=int(row["PID"]),
                tid=int(row["TID"]),
                launches=int(row["NumGPUOps"]),
            )
            for row in self._table("stats", report, sqlite)
        ]

    def report(self, sqlite: Path, *names: str) -> list[dict[str, str]]:
        """One stats report as rows of texts; `names` are what versions call it."""
        return self._table("stats", self.name(*names), sqlite)

    def rule(self, sqlite: Path, *names: str) -> list[dict[str, str]]:
        """One expert-system rule as rows of texts."""
        return self._table("analyze", self.name(*names), sqlite)

    def _table(self, command: str, report: str, sqlite: Path) -> list[dict[str, str]]:
        kind = "rule" if command == "analyze" else "report"
        options = ("--format", "csv", "--output", "-", f"--{kind}", report)
        printed = self._run(command, *options, str(sqlite))
        # nsys exits 0 whatever happens; what it could not do it says in words.
        if "SKIPPED:" in printed:
            raise NoData(printed.partition("SKIPPED:")[2].strip())
        assert "ERROR" not in printed, printed
        assert "Traceback" not in printed, printed
        heading, _, table = printed.partition("\n")
        assert heading.startswith("Processing ["), printed
        return list(csv.DictReader(io.StringIO(table.strip())))

    def _run(self, *arguments: str) -> str:
        return self._check([self.executable, *arguments])

    def _check(self, command: list[str]) -> str:
        empty = self.folder / "empty"
        empty.mkdir(exist_ok=True)
        for _ in range(3):
            done = subprocess.run(
                command, cwd=empty, capture_output=True, text=True, timeout=300, check=False
            )
            # nsys 2022.4 may look for its child's semaphore before the child has made it.
            if done.returncode == 0 or "sem_open" not in done.stdout + done.stderr:
                break
        assert done.returncode == 0, (
            f"{command}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        )
        return done.stdout + done.stderr


@cache
def _help(executable: str) -> str:
    """Names of the installed rules and reports; the exit status of help varies by version."""
    printed = ""
    with tempfile.TemporaryDirectory() as empty:
        for arguments in (("analyze", "--help-rules"), ("stats", "--help-reports")):
            done = subprocess.run(
                [executable, *arguments], cwd=empty, capture_output=True, text=True, check=False
            )
            printed += done.stdout + done.stderr
    return printed
