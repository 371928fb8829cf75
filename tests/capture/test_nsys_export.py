"""Finding the importer that belongs to an nsys, wherever its package puts it."""

import pytest

from harness.capture.nsys.backend import NsysBackend
from harness.capture.nsys.errors import ToolFailed
from harness.capture.nsys.export import find_importers, require_importer
from harness.capture.nsys.features import from_help

BUILD = "2031.2.1.7-abc"


def program(path, version):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho NVIDIA Nsight Systems {version}\n")
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def _no_system_importer(monkeypatch):
    monkeypatch.setattr("harness.capture.nsys.export._IMPORTER_PLACES", ())


def nsys_at(path):
    program(path, BUILD)
    return from_help(str(path), "2031.2.1", BUILD, "")


@pytest.mark.parametrize(
    ("nsys", "importer"),
    [
        ("nsight-systems/2031.2.1/target-linux-x64/nsys", "nsight-systems/2031.2.1/host-linux-x64"),
        ("ncu/host/target-linux-x64/nsys", "ncu/host/linux-desktop-glibc_2_11_3-x64"),
        ("a/x86_64/nsight/target-linux-x64/nsys", "a/x86_64/nsight/host-linux-x64"),
    ],
)
def test_beside_its_nsys(tmp_path, nsys, importer):
    path = program(tmp_path / importer / "QdstrmImporter", BUILD)
    assert require_importer(nsys_at(tmp_path / nsys)).path == str(path)


def test_behind_a_symbolic_link(tmp_path):
    real = nsys_at(tmp_path / "opt/target-linux-x64/nsys")
    path = program(tmp_path / "opt/host-linux-x64/QdstrmImporter", BUILD)
    link = tmp_path / "bin/nsys"
    link.parent.mkdir()
    link.symlink_to(real.path)
    assert require_importer(from_help(str(link), "2031.2.1", BUILD, "")).path == str(path)


def test_the_same_build_comes_first(tmp_path):
    nsys = nsys_at(tmp_path / "opt/target-linux-x64/nsys")
    program(tmp_path / "opt/a-host/QdstrmImporter", "2030.1.1.1-old")
    right = program(tmp_path / "opt/z-host/QdstrmImporter", BUILD)
    found = find_importers(nsys)
    assert found[0].path == str(right)
    assert len(found) == 2


def test_only_another_build(tmp_path):
    nsys = nsys_at(tmp_path / "opt/target-linux-x64/nsys")
    program(tmp_path / "opt/host-linux-x64/QdstrmImporter", "2030.1.1.1-old")
    with pytest.raises(ToolFailed, match=r"of its own build, found 2030\.1\.1\.1-old at "):
        require_importer(nsys)


def test_none(tmp_path):
    nsys = nsys_at(tmp_path / "opt/target-linux-x64/nsys")
    with pytest.raises(ToolFailed, match="no QdstrmImporter is installed"):
        require_importer(nsys)


# The nsys that Nsight Compute 2025.3.1 brings, and what its importer says of itself.
COMPUTE = "nsight-compute/2025.3.1/host"
COMPUTE_NSYS = f"{COMPUTE}/target-linux-x64/nsys"
COMPUTE_IMPORTER = f"{COMPUTE}/linux-desktop-glibc_2_11_3-x64/QdstrmImporter"


def test_one_that_names_no_build_is_known_by_where_it_stands(tmp_path):
    nsys = nsys_at(tmp_path / COMPUTE_NSYS)
    path = program(tmp_path / COMPUTE_IMPORTER, "36398880")
    importer = require_importer(nsys)
    assert (importer.path, importer.build, importer.own) == (str(path), None, True)
    assert str(importer) == f"QdstrmImporter of its own installation at {path}"


def test_one_that_names_no_build_and_stands_elsewhere_is_refused(tmp_path, monkeypatch):
    nsys = nsys_at(tmp_path / COMPUTE_NSYS)
    path = program(tmp_path / "bin/QdstrmImporter", "36398880")
    monkeypatch.setenv("PATH", str(path.parent))
    with pytest.raises(ToolFailed, match="found unknown at "):
        require_importer(nsys)


def test_the_same_build_elsewhere_comes_before_one_that_names_none(tmp_path, monkeypatch):
    nsys = nsys_at(tmp_path / COMPUTE_NSYS)
    program(tmp_path / COMPUTE_IMPORTER, "36398880")
    path = program(tmp_path / "bin/QdstrmImporter", BUILD)
    monkeypatch.setenv("PATH", f"{path.parent}:/usr/bin:/bin")
    assert require_importer(nsys).path == str(path)


@pytest.mark.parametrize(
    ("library", "mends"),
    [
        ("libdw.so.1", "apt-get install libdw1 on Debian or Ubuntu"),
        ("libodd.so.7", "install the package that holds it"),
    ],
)
def test_a_library_that_its_own_lacks_is_named(tmp_path, monkeypatch, library, mends):
    nsys = nsys_at(tmp_path / COMPUTE_NSYS)
    refused_by_the_loader(tmp_path / COMPUTE_IMPORTER, library)
    with pytest.raises(ToolFailed, match=f"the library {library} is missing; .*{mends}"):
        require_importer(nsys)
    other = program(tmp_path / "bin/QdstrmImporter", "2030.1.1.1-old")
    monkeypatch.setenv("PATH", f"{other.parent}:/usr/bin:/bin")
    with pytest.raises(ToolFailed, match=f"the library {library} is missing"):
        require_importer(nsys)


def test_what_an_importer_of_another_lacks_is_not_the_reason(tmp_path, monkeypatch):
    nsys = nsys_at(tmp_path / COMPUTE_NSYS)
    program(tmp_path / COMPUTE_IMPORTER, "2030.1.1.1-old")
    path = refused_by_the_loader(tmp_path / "bin/QdstrmImporter", "libdw.so.1")
    monkeypatch.setenv("PATH", f"{path.parent}:/usr/bin:/bin")
    with pytest.raises(ToolFailed, match="of its own build, found 2030"):
        require_importer(nsys)


def test_on_a_gpu_an_nsys_whose_importer_cannot_start_is_passed_over(tmp_path):
    """nsys 2025.3.1 on an H100 without libdw: the program never came back from its range."""
    path = tmp_path / COMPUTE_NSYS
    nsys_at(path)
    program(path, "version 2025.3.1.0")
    assert NsysBackend().probe("cuda", str(path)).ok
    refused_by_the_loader(tmp_path / COMPUTE_IMPORTER, "libdw.so.1")
    found = NsysBackend().probe("cuda", str(path))
    assert not found.ok
    assert "the library libdw.so.1 is missing" in found.reason
    assert "apt-get install libdw1" in found.remedy
    assert NsysBackend().probe("cpu", str(path)).ok


def refused_by_the_loader(path, library):
    program(path, "")
    path.write_text(
        f"#!/bin/sh\necho {path}: error while loading shared libraries: {library}: cannot open "
        "shared object file: No such file or directory >&2\nexit 127\n"
    )
    return path
