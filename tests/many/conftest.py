"""Many traces at little cost: hard links to one recording."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ..conftest import ROOT

RECORDING = ROOT / "traces" / "h100-kv-cache.sqlite"


@pytest.fixture
def links(tmp_path: Path) -> Callable[[int], list[str]]:
    """Make so many traces in the test's folder; gives their names."""

    def make(count: int) -> list[str]:
        names = [f"run{k:03}.sqlite" for k in range(count)]
        original = tmp_path / ".original"
        original.write_bytes(RECORDING.read_bytes())
        for name in names:
            os.link(original, tmp_path / name)
        return names

    return make
