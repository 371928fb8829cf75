"""The shim's cache: compiled once, whole, and again when anything changes."""

from __future__ import annotations

import concurrent.futures
import stat

import pytest

from harness.capture.cupti import build
from harness.errors import CaptureError

HEADERS = {
    "cupti_version.h": "#define CUPTI_API_VERSION 130001\n",
    "cuda.h": "",
}


@pytest.fixture
def includes(tmp_path):
    """A folder that names a version, for a compiler that does not read it."""
    folder = tmp_path / "include"
    folder.mkdir()
    for name, text in HEADERS.items():
        (folder / name).write_text(text)
    return [str(folder)]


@pytest.fixture
def fake_compiler(tmp_path):
    """A compiler that notes its calls and writes the file after -o, or fails as told."""
    log = tmp_path / "calls"
    script = tmp_path / "cc"
    script.write_text(
        f'#!/bin/sh\necho call >> {log}\nwhile [ "$1" != -o ]; do shift; done\n'
        'sleep 0.2; echo made > "$2"\n'
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return [str(script)], log


def test_once_even_when_two_ask_at_once(tmp_path, includes, fake_compiler):
    compiler, log = fake_compiler
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        made = list(
            pool.map(lambda _: build.build(includes, compiler, cache=tmp_path / "c"), range(4))
        )
    assert {shim.path for shim in made} == {made[0].path}
    assert sum(shim.built for shim in made) == 1
    assert log.read_text().count("call") == 1
    left = sorted(path.suffix for path in (tmp_path / "c").iterdir())
    assert left == [".lock", ".so"]


def test_again_when_flags_or_headers_change(tmp_path, includes, fake_compiler):
    compiler, _ = fake_compiler
    first = build.build(includes, compiler, cache=tmp_path / "c")
    assert build.build(includes, compiler, cache=tmp_path / "c", extra=("-g",)).path != first.path
    (tmp_path / "include" / "cupti_version.h").write_text("#define CUPTI_API_VERSION 130100\n")
    changed = build.build(includes, compiler, cache=tmp_path / "c")
    assert "130100" in changed.path.name


def test_a_failure_is_the_compiler_s_first_error(tmp_path, includes, compiler):
    with pytest.raises(CaptureError, match="the CUPTI shim does not compile with") as found:
        build.build(includes, compiler, cache=tmp_path / "c")
    assert "error" in str(found.value)
    assert "\n" not in str(found.value)
    assert "CUDA headers" in found.value.remedy
    assert not list((tmp_path / "c").glob("*.so"))


def test_headers_without_a_version(tmp_path):
    with pytest.raises(CaptureError, match="no CUPTI_API_VERSION"):
        build.build([str(tmp_path)], ["cc"], cache=tmp_path / "c")


def test_a_cache_that_cannot_be_written(tmp_path, includes):
    (tmp_path / "file").touch()
    with pytest.raises(CaptureError, match="cannot be kept in") as found:
        build.build(includes, ["cc"], cache=tmp_path / "file" / "c")
    assert "XDG_CACHE_HOME" in found.value.remedy


@pytest.mark.parametrize(("cc", "found"), [("sh -x", ["sh", "-x"]), ("", None), ("'sh", None)])
def test_the_compiler_of_the_environment(monkeypatch, cc, found):
    monkeypatch.setenv("CC", cc)
    if found is None:
        monkeypatch.setenv("PATH", "/nonexistent")
    assert build.find_compiler() == found
