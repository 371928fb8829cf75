"""Fixtures of the checks against NVIDIA's own tools."""

from __future__ import annotations

from pathlib import Path

import pytest

from .nvidia import Nsys


@pytest.fixture
def nsys(tmp_path: Path) -> Nsys:
    return Nsys.find(tmp_path)
