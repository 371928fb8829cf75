"""Compile the shim once per sources, headers and compiler, and keep it in the user's cache."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import ShimNotBuilt

SOURCES = (
    "buffers.c",
    "calls.c",
    "load.c",
    "select.c",
    "session.c",
    "tables.c",
    "walk.c",
    "write.c",
)
HEADER = "shim.h"
FLAGS = ("-std=c11", "-O2", "-fPIC", "-shared", "-fvisibility=hidden", "-pthread")
COMPILERS = ("cc", "gcc", "clang")

# NVIDIA's runtime wheel leaves out crt/host_defines.h, which its own headers include. These are the
# only words of it that plain C needs; the real file, where there is one, is found first.
_HOST_DEFINES = """\
#ifndef __HOST_DEFINES_H__
#define __HOST_DEFINES_H__
#define __align__(n) __attribute__((aligned(n)))
#define __builtin_align__(n) __align__(n)
#define __device_builtin__
#define __device_builtin_texture_type__
#define __device_builtin_surface_type__
#define __cudart_builtin__
#define __host__
#define __device__
#define __forceinline__ __inline__ __attribute__((always_inline))
#define CUDARTAPI
#define CUDARTAPI_CDECL
#define CUDACB
#endif
"""


@dataclass(frozen=True)
class Shim:
    """A compiled shim, and whether it was compiled just now."""

    path: Path
    compiler: str
    built: bool


def find_compiler() -> list[str] | None:
    """The C compiler as words: $CC, else cc, gcc or clang on PATH; None where there is none."""
    try:
        named = shlex.split(os.environ.get("CC", ""))
    except ValueError:  # a quote that nothing closes
        named = []
    if named and shutil.which(named[0]):
        return named
    for name in COMPILERS:
        path = shutil.which(name)
        if path:
            return [path]
    return None


def cache_folder() -> Path:
    """Where compiled shims are kept."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("nsys-harness", appauthor=False)) / "cupti"


def source_folder() -> Path:
    """The folder with the C sources."""
    return Path(__file__).parent


def header_version(includes: Sequence[str]) -> str:
    """CUPTI_API_VERSION of the headers; CaptureError where they have none."""
    for folder in includes:
        for name in ("cupti_version.h", "cupti_activity.h"):
            with contextlib.suppress(OSError):
                text = Path(folder, name).read_text(errors="replace")
                found = re.search(r"#define\s+CUPTI_API_VERSION\s+(\d+)", text)
                if found:
                    return found.group(1)
    raise ShimNotBuilt(
        f"no CUPTI_API_VERSION in {', '.join(includes) or 'no folder'}",
        remedy="pip install nvidia-cuda-cupti nvidia-cuda-runtime, matching PyTorch's CUDA",
    )


def build(
    includes: Sequence[str],
    compiler: Sequence[str],
    *,
    cache: Path | None = None,
    extra: Sequence[str] = (),
) -> Shim:
    """The shim for these headers, compiled where it is not in the cache yet.

    Concurrent builds wait for one another; the file appears whole. Raises CaptureError with the
    compiler's first error.
    """
    cache = cache or cache_folder()
    key = _key(header_version(includes), compiler, extra)
    path = cache / f"shim-{header_version(includes)}-{key}.so"
    if path.is_file():
        return Shim(path, compiler[0], built=False)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with _locked(cache / f"{path.name}.lock"):
            if path.is_file():
                return Shim(path, compiler[0], built=False)
            _compile(path, includes, compiler, extra)
    except OSError as error:
        raise ShimNotBuilt(
            f"the CUPTI shim cannot be kept in {cache}: {error.strerror or error}",
            remedy="make the folder writable, or set XDG_CACHE_HOME",
        ) from error
    return Shim(path, compiler[0], built=True)


def _key(version: str, compiler: Sequence[str], extra: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for name in (HEADER, *SOURCES):
        digest.update((source_folder() / name).read_bytes())
    digest.update("\0".join((version, *compiler, *FLAGS, *extra, _HOST_DEFINES)).encode())
    return digest.hexdigest()[:16]


def _compile(
    path: Path, includes: Sequence[str], compiler: Sequence[str], extra: Sequence[str]
) -> None:
    with tempfile.TemporaryDirectory(prefix=".build-", dir=path.parent) as folder:
        stand_in = Path(folder, "include", "crt", "host_defines.h")
        stand_in.parent.mkdir(parents=True)
        stand_in.write_text(_HOST_DEFINES)
        made = Path(folder, "shim.so")
        argv = [*compiler, *FLAGS, *extra]
        for include in includes:
            argv += ["-isystem", include]
        argv += ["-idirafter", str(stand_in.parent.parent)]
        argv += [str(source_folder() / name) for name in SOURCES]
        argv += ["-o", str(made), "-ldl"]
        try:
            done = subprocess.run(
                argv, capture_output=True, text=True, errors="replace", timeout=120, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ShimNotBuilt(f"{compiler[0]} cannot be run: {error}") from error
        if done.returncode != 0:
            errors = [line for line in done.stderr.splitlines() if "error" in line]
            said = (errors or done.stderr.splitlines() or ["no message"])[0]
            raise ShimNotBuilt(
                f"the CUPTI shim does not compile with {compiler[0]}: {said.strip()}",
                remedy="set CC to another compiler, or install the CUDA headers of PyTorch's CUDA",
            )
        os.replace(made, path)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with open(path, "w") as file:
        with contextlib.suppress(OSError):  # a file system without locks: the rename is atomic
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
