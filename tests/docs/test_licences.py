"""What is not ours says where it is from."""

from __future__ import annotations

import re
import tomllib

import pytest

from ..conftest import DATA, ROOT

PACKED = sorted(DATA.glob("*.gz"))


def test_there_are_traces() -> None:
    assert PACKED


@pytest.mark.parametrize("path", PACKED, ids=lambda path: path.name)
def test_a_trace_is_small_and_names_its_origin(path) -> None:
    assert path.name in (DATA / "LICENSES").read_text("utf-8")
    assert path.stat().st_size < 300_000


def test_what_pip_fetches_is_listed() -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    names = [re.split(r"[<>=~!;\[ ]", one)[0] for one in wanted]
    listed = re.findall(
        r"^\| ([\w-]+) \|.*\| \S+ \|$", (ROOT / "THIRD_PARTY.md").read_text("utf-8"), re.M
    )
    assert sorted(names) == sorted(set(listed) - {"package"})
