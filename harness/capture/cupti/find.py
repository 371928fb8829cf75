"""Where an interpreter's libcupti, CUDA headers and PyTorch are, without importing any of them."""

from __future__ import annotations

import glob
import os
import re
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

_WHEELS = (("cu13", "13"), ("cuda_cupti", "12"))
_TOOLKITS = ("/usr/local/cuda", "/opt/cuda", "/usr/lib/cuda")


def found() -> dict[str, Any]:
    """What a recording in this interpreter would use; paths, or None and empty lists.

    `libraries` are candidates, best first: the wheel that matches PyTorch's CUDA, then toolkits.
    `includes` are folders that together hold cupti_activity.h, cuda.h and builtin_types.h.
    """
    torch, cuda = torch_version()
    major = cuda.split(".")[0] if cuda else None
    return {
        "executable": sys.executable,
        "python": sys.version.split()[0],
        "torch": torch,
        "torch_cuda": cuda,
        "libraries": libraries(major),
        "includes": includes(major),
        "nvtx": _folder("nvtx") is not None,
    }


def _folder(package: str) -> str | None:
    for entry in sys.path:
        path = os.path.join(entry or os.getcwd(), package)
        if os.path.isdir(path):
            return path
    return None


def _wheel_folders(major: str | None) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Folders of NVIDIA's wheels, those of the CUDA release `major` first."""
    for _, release in sorted(_WHEELS, key=lambda item: item[1] != major):
        for entry in sys.path:
            root = os.path.join(entry or os.getcwd(), "nvidia")
            if release == "13":
                yield release, (os.path.join(root, "cu13"),)
            else:
                yield (
                    release,
                    (os.path.join(root, "cuda_cupti"), os.path.join(root, "cuda_runtime")),
                )


def torch_version() -> tuple[str | None, str | None]:
    """(version, CUDA release) of the torch on sys.path; None where absent or without CUDA."""
    folder = _folder("torch")
    if folder is None:
        return None, None
    try:
        with open(os.path.join(folder, "version.py")) as file:
            text = file.read()
    except OSError:
        return None, None
    version = re.search(r"^__version__\s*=\s*['\"]([^'\"]+)", text, re.M)
    cuda = re.search(r"^cuda\b[^=\n]*=\s*['\"]([\d.]+)", text, re.M)
    return version and version.group(1), cuda and cuda.group(1)


def _toolkits() -> list[str]:
    named = [os.environ.get(name) for name in ("CUDA_HOME", "CUDA_PATH")]
    return [path for path in (*named, *_TOOLKITS) if path and os.path.isdir(path)]


def libraries(major: str | None) -> list[str]:
    """Paths of libcupti.so.N, best first; with `major` only those of that CUDA release."""
    patterns: list[str] = []
    for release, folders in _wheel_folders(major):
        patterns += [os.path.join(folder, "lib", f"libcupti.so.{release}") for folder in folders]
    for root in _toolkits():
        patterns += [os.path.join(root, "extras", "CUPTI", "lib64", "libcupti.so.*")]
        patterns += [os.path.join(root, "lib64", "libcupti.so.*")]
    paths: list[str] = []
    for pattern in patterns:
        for path in sorted(glob.glob(pattern)):
            release = os.path.basename(path).split(".")[2]
            if (major is None or release == major) and path not in paths:
                paths.append(path)
    return paths


def includes(major: str | None) -> list[str]:
    """Include folders of the first place that has CUPTI's headers and CUDA's."""
    for release, folders in _wheel_folders(major):
        if major is not None and release != major:
            continue
        made = [os.path.join(folder, "include") for folder in folders]
        if _complete(made):
            return made
    for root in _toolkits():
        made = [os.path.join(root, "extras", "CUPTI", "include"), os.path.join(root, "include")]
        if _complete(made) and _toolkit_release(made) in (major, None):
            return [path for path in made if os.path.isdir(path)]
    return []


def _complete(folders: Iterable[str]) -> bool:
    wanted = ("cupti_activity.h", "cuda.h", "builtin_types.h")
    return all(any(os.path.isfile(os.path.join(f, name)) for f in folders) for name in wanted)


def _toolkit_release(folders: Iterable[str]) -> str | None:
    for folder in folders:
        try:
            with open(os.path.join(folder, "cuda.h")) as file:
                version = re.search(r"#define\s+CUDA_VERSION\s+(\d+)", file.read())
        except OSError:
            continue
        if version:
            return str(int(version.group(1)) // 1000)
    return None
