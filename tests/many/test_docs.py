"""docs/many-traces.md shows what the command prints, and the commands it shows exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from ..analysis.ranks import job
from ..conftest import ROOT

PAGE = (ROOT / "docs" / "many-traces.md").read_text("utf-8")


def test_output_shown_is_output_given(harness, tmp_path: Path) -> None:
    """The ranks are those of the example in docs/definitions.md."""
    shown = re.search(r"^    \$ (harness .*)\n((?:    .*\n|\n)+)", PAGE, re.M)
    assert shown is not None
    job(tmp_path, [[10] * 14, [10] * 14, [60] * 14], [[85] * 14] * 3, waits=True)
    words = shlex.split(shown[1])[1:]
    paths = sorted(path.name for path in tmp_path.glob(words[1]))
    done = harness(words[0], *paths, *words[2:])
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == re.sub("^    ", "", shown[2], flags=re.M).strip()


def test_options_shown_are_known(inside) -> None:
    known = inside("gaps", "--help").stdout
    for line in re.findall(r"^    harness gaps .*$", PAGE, re.M):
        for option in re.findall(r"(?<= )--?[a-z]+", line.partition("#")[0]):
            assert option in known, line
