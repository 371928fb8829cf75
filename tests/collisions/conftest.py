"""A wheel of this checkout in an environment of its own, and a folder where every name is taken."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from ..conftest import ROOT

BUILD = "import sys; from setuptools import build_meta as b; print(getattr(b, sys.argv[1])('out'))"
OURS = ("harness", "analysis", "names", "plan", "session", "sitecustomize")
NEEDED = (
    "click", "numpy", "pandas", "torch", "transformers", "nvtx", "rich", "jinja2", "msgspec",
    "platformdirs", "sqlite_utils", "adbc_driver_sqlite", "adbc_driver_manager", "pyarrow",
)  # fmt: skip
PACKAGES = ("harness", "analysis", "torch", "numpy")
TRAP = """
import sys
with open({marks!r}, "a") as file:
    file.write(__file__ + " was imported by " + " ".join(sys.orig_argv) + "\\n")
raise RuntimeError(__file__ + " was imported")
"""
# At the end of every Python of that environment, whoever started it.
WATCH = """
import atexit, os, sys

def strange():
    here = os.environ["TRAPS"] + os.sep
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) or ""
        if name.split(".")[0] == "analysis" or file.startswith(here):
            yield name

@atexit.register
def tell():
    if "TRAPS" in os.environ:
        with open(os.environ["SEEN"], "a") as file:
            file.write(" ".join([repr(sys.orig_argv), *strange()]) + "\\n")
"""
TRACES = ("example-sync", "h100-kv-cache", "h100-pipelined")


def build(kind: str, source: Path) -> Path:
    """What pip builds of a folder: an `sdist` or a `wheel`."""
    done = subprocess.run(
        [sys.executable, "-c", BUILD, f"build_{kind}"],
        cwd=source, capture_output=True, text=True, timeout=250, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return source / "out" / done.stdout.splitlines()[-1]


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This checkout's sources, where a build may leave what it likes."""
    folder = tmp_path_factory.mktemp("source")
    for name in ("harness", "analysis"):
        unwanted = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=unwanted)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture(scope="session")
def wheel(source: Path) -> Path:
    return build("wheel", source)


@dataclass(frozen=True)
class Place:
    """An environment that has the wheel, and a folder to call it in."""

    bin: Path
    folder: Path
    marks: Path
    seen: Path

    def start(self, words: Sequence[object], **env: str) -> subprocess.Popen[str]:
        """Begin `words` in the folder; a `harness` or `python` is that of the environment."""
        program, *rest = map(str, words)
        told = {"TRAPS": str(self.folder), "SEEN": str(self.seen)}
        cache = {"HARNESS_CACHE": str(self.bin.parent / "cache")}
        clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        return subprocess.Popen(
            [str(self.bin / program), *rest],
            cwd=self.folder, env={**clean, **told, **cache, **env}, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, *words: object, **env: str) -> subprocess.CompletedProcess[str]:
        """The same to its end."""
        process = self.start(words, **env)
        out, err = process.communicate(timeout=250)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def untouched(self) -> bool:
        """Nothing of the folder was imported, by whomever, and no `analysis` from anywhere."""
        imported = self.marks.read_text() if self.marks.exists() else ""
        assert imported == ""
        ends = self.seen.read_text().splitlines() if self.seen.exists() else []
        assert ends, "no Python of the environment was heard of"
        assert [end for end in ends if not end.endswith("]")] == []
        return True


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of an environment with the wheel; what it needs is that of the tests."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False, symlinks=True)
    python = home / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "--python", python]
    subprocess.run([*pip, "install", "--no-deps", "--no-index", "--no-compile", wheel], check=True)
    (site,) = home.glob("lib/python*/site-packages")
    # A folder named in a .pth has its own .pth not read: the editable checkout stays out.
    (site / "needed.pth").write_text(sysconfig.get_path("purelib") + "\nimport _watch\n")
    (site / "_watch.py").write_text(WATCH)
    return home / "bin"


@pytest.fixture(scope="module")
def trapped(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A folder of traces where every name that anyone could import is taken."""
    place = fresh(installed, tmp_path_factory.mktemp("trapped"))
    standard = sys.stdlib_module_names - set(sys.builtin_module_names)
    take(place, {*standard, *NEEDED, *OURS}, PACKAGES)
    return place


def take(place: Place, modules: Iterable[str], packages: Iterable[str] = ()) -> None:
    """Lay modules and packages into its folder that tell when they are imported, and fail."""
    trap = TRAP.format(marks=str(place.marks))
    for name in modules:
        (place.folder / f"{name}.py").write_text(trap)
    for name in packages:
        (place.folder / name).mkdir()
        (place.folder / name / "__init__.py").write_text(trap)


@pytest.fixture(scope="module")
def clean(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A folder with the same traces, and nothing else."""
    return fresh(installed, tmp_path_factory.mktemp("clean"))


def fresh(installed: Path, room: Path) -> Place:
    folder = room / "traces"
    folder.mkdir()
    for name in TRACES:
        for found in (ROOT / "traces").glob(f"{name}.*"):
            shutil.copy(found, folder)
    shutil.copy(ROOT / "traces" / "h100-graphs.db", folder / "results.db")
    shutil.copy(ROOT / "traces" / "h100-kv-cache.sqlite", folder / "bare.sqlite")
    return Place(installed, folder, room / "marks", room / "seen")
