"""What the CUPTI tests share: NVIDIA's own headers and libraries, and a GPU that is not there."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import platformdirs
import pytest

from harness.capture.cupti import build

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
# Wheels of one CUDA release: its oldest and newest that work, and the one that PyTorch 2.11 brings.
RELEASES = {
    "12.9": ("nvidia-cuda-cupti-cu12==12.9.79", "nvidia-cuda-runtime-cu12==12.9.79"),
    "13.0": ("nvidia-cuda-cupti==13.0.85", "nvidia-cuda-runtime==13.0.96"),
    "13.5": ("nvidia-cuda-cupti==13.5.25", "nvidia-cuda-runtime==13.4.92"),
}
# CUPTI_API_VERSION, which is what cuptiGetVersion answers.
VERSIONS = {"12.9": 28, "13.0": 130001, "13.5": 130500}


def missing(what: str) -> None:
    """Skip with the reason; on the project's own CI, where all of it can be had, fail."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what}; in CI this is a failure")
    pytest.skip(what)


@dataclass(frozen=True)
class Cuda:
    """One CUDA release: include folders and libcupti."""

    release: str
    includes: tuple[str, ...]
    library: Path
    version: int


def fetched(requirement: str) -> Path:
    """The folder with a package: as installed, from a cache, or else from the package index."""
    name, _, version = requirement.partition("==")
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        installed = importlib.metadata.distribution(name)
        if installed.version == version:
            return Path(str(installed.locate_file("")))
    folder = Path(
        os.environ.get("HARNESS_TEST_WHEELS")
        or Path(platformdirs.user_cache_dir("nsys-harness", appauthor=False), "test-wheels")
    )
    unpacked = folder / requirement.replace("==", "-")
    if unpacked.is_dir():
        return unpacked
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        done = subprocess.run(
            [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:",
             "--disable-pip-version-check", "-d", temporary, requirement],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        wheels = list(Path(temporary).glob("*.whl"))
        if not wheels:
            said = done.stderr.strip().splitlines() or ["no message"]
            missing(f"{requirement} cannot be fetched: {said[-1]}")
        with zipfile.ZipFile(wheels[0]) as wheel:
            wheel.extractall(Path(temporary, "unpacked"))
        try:
            Path(temporary, "unpacked").rename(unpacked)
        except OSError:
            if not unpacked.is_dir():  # else another worker was first
                raise
    return unpacked


def cuda_release(release: str) -> Cuda:
    """Headers and library of one of RELEASES."""
    folders = [fetched(requirement) / "nvidia" for requirement in RELEASES[release]]
    # Only this release's: several may be installed side by side.
    homes = ("cu13",) if release.startswith("13") else ("cuda_cupti", "cuda_runtime")
    found = {str(folder / home / "include") for folder in folders for home in homes}
    includes = sorted(folder for folder in found if Path(folder).is_dir())
    (library,) = (folders[0] / homes[0] / "lib").glob("libcupti.so.*")
    return Cuda(release, tuple(includes), library, VERSIONS[release])


@pytest.fixture(scope="session")
def compiler() -> list[str]:
    """The C compiler."""
    found = build.find_compiler()
    if found is None:
        missing("no C compiler: the shim is not tested")
    assert found is not None
    return found


@pytest.fixture(scope="session", params=list(RELEASES))
def cuda(request: pytest.FixtureRequest) -> Cuda:
    """Each release in turn."""
    return cuda_release(request.param)


@pytest.fixture(scope="session")
def shims(compiler: list[str], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Compile the shim, with all warnings as errors; `fabricate` adds the test's own records."""
    cache = tmp_path_factory.mktemp("shims")

    def made(cuda: Cuda, *, fabricate: bool = False) -> Path:
        extra = ("-Wall", "-Wextra", "-Wmissing-prototypes", "-Werror")
        if fabricate:
            extra += (f"-I{build.source_folder()}", str(HERE / "fabricate.c"))
        return build.build(cuda.includes, compiler, cache=cache, extra=extra).path

    return made


def in_process(code: str, *arguments: object, **env: str) -> list[str]:
    """Lines that `code` prints in a process of its own: a library stays loaded, a session done."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True, text=True, cwd=ROOT, env={**os.environ, **env}, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


# A GPU that is not there


@dataclass
class Machine:
    """A machine with the fake libcuda, libcupti and torch, and how harness runs on it."""

    folder: Path
    env: dict[str, str]

    def harness(self, *arguments: object, **env: str) -> subprocess.CompletedProcess[str]:
        """`harness ARGUMENTS`, told that there is a GPU."""
        code = (
            "import sys, harness.environment as e; e.has_gpu = lambda: True\n"
            "from harness.cli import main; sys.argv[0] = 'harness'; sys.exit(main())"
        )
        return subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)],
            cwd=self.folder, env={**self.env, **env}, capture_output=True, text=True, timeout=120,
            check=False,
        )  # fmt: skip

    def profile(self, script: str, *options: str, **env: str) -> subprocess.CompletedProcess[str]:
        """`harness profile --capture cupti -- python my.py one two` of this script."""
        Path(self.folder, "my.py").write_text(script)
        return self.harness(
            "profile", "--capture", "cupti", "--name", "t", "--force", *options,
            "--", sys.executable, "my.py", "one", "two", **env,
        )  # fmt: skip

    @property
    def trace(self) -> Path:
        """What was recorded last."""
        return self.folder / "traces" / "t.sqlite"

    @property
    def manifest(self) -> dict:
        """Its manifest."""
        return json.loads(self.trace.with_suffix(".json").read_text())


@pytest.fixture(scope="session")
def fake_packages(compiler: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site folder with the fake torch, and a CUDA 13 wheel whose libcupti is the fake one."""
    cuda = cuda_release("13.0")
    site = tmp_path_factory.mktemp("site")
    (site / "torch").symlink_to(HERE / "fake" / "torch")
    home = site / "nvidia" / "cu13"
    (home / "lib").mkdir(parents=True)
    (home / "include").mkdir()
    for folder in cuda.includes:
        for header in Path(folder).iterdir():
            if not (home / "include" / header.name).exists():
                (home / "include" / header.name).symlink_to(header)
    stand_in = tmp_path_factory.mktemp("stand-in")
    (stand_in / "crt").mkdir()
    (stand_in / "crt" / "host_defines.h").write_text(build._HOST_DEFINES)
    flags = [*compiler, "-O1", "-fPIC", "-shared", "-isystem", str(home / "include")]
    flags += ["-idirafter", str(stand_in), "-I", str(build.source_folder())]
    for source, name in (("fakecupti.c", "libcupti.so.13"), ("fakecuda.c", "libcuda.so.1")):
        subprocess.run(
            [*flags, str(HERE / "fake" / source), "-o", str(home / "lib" / name)], check=True
        )
    return site


@pytest.fixture
def machine(fake_packages: Path, tmp_path: Path) -> Machine:
    """That machine, with an empty working folder."""
    library = fake_packages / "nvidia" / "cu13" / "lib"
    plain = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("NSYS_", "FAKE_", "CUDA_", "HARNESS_", "NVTX_"))
    }
    env = {
        "PYTHONPATH": os.pathsep.join([str(fake_packages), str(ROOT)]),
        "LD_LIBRARY_PATH": str(library),
        "FAKE_CUPTI": str(library / "libcupti.so.13"),
        "XDG_CACHE_HOME": str(fake_packages / "cache"),
    }
    return Machine(tmp_path, {**plain, **env})
