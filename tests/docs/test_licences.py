"""What is not ours says where it is from."""

from __future__ import annotations

import pytest

from ..conftest import DATA

PACKED = sorted(DATA.glob("*.gz"))


def test_there_are_traces() -> None:
    assert PACKED


@pytest.mark.parametrize("path", PACKED, ids=lambda path: path.name)
def test_a_trace_is_small_and_names_its_origin(path) -> None:
    assert path.name in (DATA / "LICENSES").read_text("utf-8")
    assert path.stat().st_size < 300_000
