"""docs/report.md: what it shows is what the commands do."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest

from ..conftest import ROOT

PAGE = (ROOT / "docs" / "report.md").read_text("utf-8")


def blocks() -> list[str]:
    """Indented blocks, without their indent."""
    found = re.findall(r"(?:^    .*\n|^\n(?=    ))+", PAGE, re.M)
    return [re.sub(r"^    ", "", block, flags=re.M).strip("\n") for block in found]


def test_output_shown_is_output_given(harness) -> None:
    shown = [block for block in blocks() if block.startswith("$ ")]
    assert shown
    for block in shown:
        command, _, expected = block.partition("\n")
        done = harness(*shlex.split(command)[2:], cwd=ROOT)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(expected + "\n")


@pytest.mark.parametrize(
    "line",
    [line for line in blocks()[0].splitlines() if line.startswith("harness ")],
)
def test_commands_shown_run(harness, tmp_path: Path, line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    traces = [str(ROOT / "traces" / f"example-{name}.sqlite") for name in ("sync", "pipelined")]
    words = [
        part
        for word in words
        for part in (
            traces if word == "traces/*.sqlite" else [traces[0]] if word == "run.sqlite" else [word]
        )
    ]
    done = harness(*words)
    assert done.returncode == 0, done.stderr
    if "-o" in words:
        assert (tmp_path / words[words.index("-o") + 1]).stat().st_size > 1000


def test_python_shown_runs(harness, tmp_path: Path) -> None:
    trace = ROOT / "traces" / "example-sync.sqlite"
    done = harness("export", trace, "--rows", "steps", "-o", "steps.parquet")
    assert done.returncode == 0, done.stderr
    snippets = [block for block in blocks() if block.startswith(("import ", "from "))]
    assert len(snippets) == 2
    here = Path.cwd()
    try:
        os.chdir(tmp_path)
        for snippet in snippets:
            names: dict[str, object] = {}
            exec(snippet.replace("traces/", f"{ROOT / 'traces'}/"), names)
            assert len(names["steps"]) in (18, 20)  # type: ignore[arg-type]
    finally:
        os.chdir(here)


def test_pictures_are_there_and_described() -> None:
    pictures = re.findall(r'(?:src|srcset)="(images/[^"]+)"', PAGE)
    assert len(pictures) == 4
    for name in pictures:
        assert (ROOT / "docs" / name).read_bytes().startswith(b"\x89PNG")
    assert len(re.findall(r'<img alt="[^"]{40,}"', PAGE)) == 2


def test_every_column_of_the_exports_is_documented() -> None:
    from harness.analysis.analyze import analyze
    from harness.analysis.exports.frames import gaps_frame, steps_frame

    report = analyze(ROOT / "traces" / "example-sync.sqlite")
    for frame in (gaps_frame(report), steps_frame(report)):
        for column in frame.columns:
            if not column.startswith("cause_"):
                assert f"`{column}`" in PAGE, column
