"""What an installed nsys is and can do, read from itself.

Options come and go between versions and are announced nowhere else, so `nsys profile --help` is
parsed. Facts that no help text tells (which tables an export has) are tied to versions at which
they were seen.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .errors import NsysNotFound, NsysNotStarted

INSTALL_REMEDY = (
    "install it on Debian or Ubuntu with 'apt-get install nsight-systems' (Debian: non-free "
    "component; Ubuntu: multiverse), or from https://developer.nvidia.com/nsight-systems, "
    "or point --nsys at it"
)

# Where NVIDIA's own installers put nsys without touching PATH.
_PLACES = (
    "/opt/nvidia/nsight-systems/*/bin/nsys",
    "/opt/nvidia/nsight-systems/*/target-linux-*/nsys",
    "/opt/nvidia/nsight-systems-cli/*/bin/nsys",
    "/opt/nvidia/nsight-systems-cli/*/target-linux-*/nsys",
    "/opt/nvidia/nsight-compute/*/host/target-linux-*/nsys",
    "/usr/local/cuda/bin/nsys",
    "/usr/local/cuda-*/bin/nsys",
)

# nsys 2024.3 is the first version seen to export CUPTI_ACTIVITY_KIND_GRAPH_TRACE; 2022.4 and 2023.4
# have no such table, so a graph recorded as a whole vanishes from their SQLite.
_GRAPH_TABLE_SINCE = (2024, 3)

# nvtx 0.2.12 began to ask nvtxDomainIsEnabled; nsys up to 2023.4 answers no, and no range is sent.
_NVTX_ASKS_SINCE = (0, 2, 12)
_NSYS_ANSWERS_NO_UNTIL = (2023, 4)


@dataclass(frozen=True)
class NsysFeatures:
    """One installed nsys: its path, version, and the long options of `nsys profile`.

    `launch_origin` is whether --cuda-graph-trace takes one (`graph:host-only`).
    """

    path: str
    version: str
    build: str
    options: frozenset[str]
    launch_origin: bool = False

    @property
    def release(self) -> tuple[int, int]:
        """Year and number: (2022, 4)."""
        year, number = self.version.split(".")[:2]
        return int(year), int(number)

    @property
    def exports_graph_trace(self) -> bool:
        """Does the SQLite export hold graphs that were recorded as a whole?"""
        return self.release >= _GRAPH_TABLE_SINCE

    def knows(self, option: str) -> bool:
        """Is `option` (without dashes) listed by `nsys profile --help`?"""
        return option in self.options


def parse_version(text: str) -> tuple[str, str]:
    """Version and full build from `nsys --version`: ('2022.4.2', '2022.4.2.1-df9881f')."""
    found = re.search(r"(\d{4}\.\d+\.\d+)(\S*)", text)
    if found is None:
        raise NsysNotStarted(
            f"nsys --version says {text.strip()[:80]!r}", remedy="is that Nsight Systems?"
        )
    return found[1], found[0]


def parse_options(help_text: str) -> frozenset[str]:
    """The long options that begin a line of `nsys profile --help`."""
    names = re.findall(r"^\s*(?:-\w, )?--([a-z][a-z0-9-]+)", help_text, re.MULTILINE)
    return frozenset(names)


def from_help(path: str, version: str, build: str, help_text: str) -> NsysFeatures:
    """The features of an nsys that prints `help_text` for `nsys profile --help`."""
    options = parse_options(help_text)
    return NsysFeatures(path, version, build, options, "<launch origin>" in help_text)


def find_nsys(given: str | None = None) -> str | None:
    """Absolute path of the nsys to use: `given`, else on PATH, else NVIDIA's own places, newest.

    Raises CaptureError when `given` is no executable file.
    """
    if given is not None:
        path = shutil.which(given)
        if path is None:
            raise NsysNotFound(
                f"--nsys {given}: no such executable", remedy="give the path of the nsys program"
            )
        return os.path.abspath(path)
    path = shutil.which("nsys")
    if path is not None:
        return os.path.abspath(path)
    found = [
        str(path)
        for pattern in _PLACES
        for path in Path("/").glob(pattern.lstrip("/"))
        if os.access(path, os.X_OK)
    ]
    return max(found, key=_numbers, default=None)


def _numbers(path: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path)]


def require_nsys(given: str | None = None) -> NsysFeatures:
    """The features of the nsys to use; CaptureError with how to install it when there is none."""
    path = find_nsys(given)
    if path is None:
        raise NsysNotFound("Nsight Systems (nsys) is not installed", remedy=INSTALL_REMEDY)
    return read_features(path)


@functools.cache
def read_features(path: str) -> NsysFeatures:
    """Ask the nsys at `path` for its version and options (about 30 ms, kept for this process)."""
    version, build = parse_version(answer_of(path, "--version"))
    return from_help(path, version, build, answer_of(path, "profile", "--help"))


def answer_of(path: str, *argv: str) -> str:
    """What one of nsys's programs prints; CaptureError where it cannot be asked."""
    try:
        done = subprocess.run(
            [path, *argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NsysNotStarted(
            f"{path} {' '.join(argv)} failed: {error}", remedy=INSTALL_REMEDY
        ) from error
    return done.stdout.decode(errors="replace")


def nvtx_trap(nsys_release: tuple[int, int], nvtx_version: str | None) -> str | None:
    """Why this pair of nsys and Python nvtx records no ranges, or None when it is not known to.

    Measured: nvtx 0.2.12, .13, .14, .15 and .17 recorded 0 of 1000 ranges under nsys 2022.4 and
    2023.4, without a message; 0.2.10 and 0.2.11 recorded all.
    """
    if nvtx_version is None or nsys_release > _NSYS_ANSWERS_NO_UNTIL:
        return None
    numbers = tuple(int(part) for part in re.findall(r"\d+", nvtx_version)[:3])
    if numbers < _NVTX_ASKS_SINCE:
        return None
    nsys = f"{nsys_release[0]}.{nsys_release[1]}"
    return f"Python nvtx {nvtx_version} records no ranges under nsys {nsys}"


NVTX_REMEDY = "pip install 'nvtx<0.2.12', or use nsys 2024 or newer"
