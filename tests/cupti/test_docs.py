"""docs/cupti.md: what it says is left out, counted and tested is what the code does."""

from __future__ import annotations

import dataclasses
import re

from harness.capture.cupti import build
from harness.capture.cupti.completeness import Completeness

from .conftest import RELEASES, ROOT

TEXT = (ROOT / "docs" / "cupti.md").read_text()


def test_every_call_that_is_left_out_is_named():
    source = (build.source_folder() / "select.c").read_text()
    words = re.search(r"LEFT_OUT\[\] = \{(.*?)\};", source, re.S).group(1)
    names = re.findall(r'"(\w+)"', words)
    assert len(names) > 10
    section = TEXT[TEXT.index("- Runtime:") : TEXT.index("- Driver:")]
    assert sorted(re.findall(r"`(\w+)`", section)) == sorted(names)


def test_every_figure_of_completeness_is_explained():
    for field in dataclasses.fields(Completeness):
        assert f"`{field.name}`" in TEXT


def test_the_releases_that_are_tested():
    for release in RELEASES:
        assert release in TEXT
