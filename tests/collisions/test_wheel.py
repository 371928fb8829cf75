"""What `pip install .` installs: one import package with all it needs, however it is built."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

from .conftest import build


def names(wheel: Path) -> set[str]:
    """The files of a wheel but those that describe it."""
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def files(folder: Path, place: str) -> set[str]:
    """The files of a folder as the wheel should name them; a link is no file of it."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {f"{place}/{path.relative_to(folder).as_posix()}" for path in found}


def test_it_installs_one_package(wheel: Path) -> None:
    assert {name.split("/")[0] for name in names(wheel)} == {"harness"}
    with zipfile.ZipFile(wheel) as archive:
        (told,) = [name for name in archive.namelist() if name.endswith("/top_level.txt")]
        assert archive.read(told).decode().split() == ["harness"]


def test_it_holds_every_file_of_both_folders(source: Path, wheel: Path) -> None:
    kept = files(source / "analysis", "harness/analysis")
    kept |= {name for name in files(source / "harness", "harness") if "/analysis/" not in name}
    assert names(wheel) == kept
    endings = {Path(name).suffix for name in kept}
    assert {".sql", ".toml", ".c", ".h", ".j2", ".css", ".js"} <= endings


def test_a_source_archive_builds_the_same(source: Path, wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(build("sdist", source)) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.iterdir()
    assert names(build("wheel", unpacked)) == names(wheel)
