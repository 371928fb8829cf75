"""What `harness gaps` prints first, as a person reads it: recordings whose fault is known."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from ..analysis.build import US, builder
from ..conftest import ROOT

PLANTED = ROOT / "tests" / "planted" / "data"
EXAMPLES = ROOT / "traces"
WIDTHS = pytest.mark.parametrize("width", [80, 120])
FAULTS = (
    "item-fault.sqlite", "gc-fault.sqlite", "gc-fault.json", "dataloader-workers-fault.sqlite",
    "launch-bound-fault.sqlite", "stalled-step-fault.sqlite", "pageable-copy-fault.sqlite",
    "gil-threads-fault.sqlite", "gpu-bound-clean.sqlite",
)  # fmt: skip
STRANGE = re.compile(
    r"\b1 (?:steps|launches|copies|operations)\b|a step a step|\b(\w+ \w+) \1\b"
    r"|[{}]|\*\*|\.\.| ,|\( |\bNone\b|\bnan\b"
)
"""What no sentence may hold."""


@pytest.fixture
def unpacked(tmp_path: Path):
    def unpack(name: str) -> str:
        (tmp_path / name).write_bytes(gzip.decompress((PLANTED / f"{name}.gz").read_bytes()))
        return name

    return unpack


@pytest.fixture
def examples(tmp_path: Path) -> list[str]:
    found = sorted(EXAMPLES.glob("h100-*.sqlite"))
    for path in found:
        (tmp_path / path.name).symlink_to(path)
        manifest = path.with_suffix(".json")
        if manifest.exists():
            (tmp_path / manifest.name).symlink_to(manifest)
    return [path.name for path in found]


def without_steps(path: Path) -> str:
    """Kernels that no range marks and that do not repeat."""
    trace, thread = builder()
    at = 1000
    for k, length in enumerate((30, 7, 90, 12, 55, 3, 140, 21, 64)):
        trace.launch(
            at * US, (at + 4) * US, (at + 9) * US, (at + 9 + length) * US,
            thread=thread, name=f"kernel_{k}",
        )  # fmt: skip
        at += length + 17 * (k % 4) + 11
    trace.write(path)
    return path.name


def checked(text: str, width: int) -> str:
    """The text, once it keeps to the width and to English."""
    said, _, _ = text.partition("\n\n")
    for line in text.splitlines():
        # Commands are to be copied: they are never folded.
        assert len(line) <= width or " harness " in line, line
    assert "\x1b" not in text
    flat = " ".join(said.split())
    assert not STRANGE.search(flat), STRANGE.search(flat)
    return text


@WIDTHS
@pytest.mark.parametrize("name", FAULTS)
def test_one_recording(inside, unpacked, snapshot, name: str, width: int) -> None:
    done = inside("gaps", unpacked(name), COLUMNS=str(width))
    assert done.returncode == 0, done.stderr
    assert checked(done.stdout, width) == snapshot


@WIDTHS
def test_several_recordings(inside, examples, snapshot, width: int) -> None:
    done = inside("gaps", *examples, COLUMNS=str(width))
    assert checked(done.stdout, width) == snapshot


@WIDTHS
def test_a_recording_without_steps(inside, tmp_path: Path, snapshot, width: int) -> None:
    done = inside("gaps", without_steps(tmp_path / "t.sqlite"), COLUMNS=str(width))
    assert checked(done.stdout, width) == snapshot


@WIDTHS
def test_all_tables(inside, examples, snapshot, width: int) -> None:
    done = inside("gaps", "h100-pipelined.sqlite", "--tables", "all", COLUMNS=str(width))
    assert checked(done.stdout, width) == snapshot


def test_markdown(inside, unpacked, snapshot) -> None:
    done = inside("gaps", unpacked("gpu-bound-clean.sqlite"), "--format", "md")
    assert done.stdout == snapshot


def test_what_is_piped_holds_no_colour(harness, unpacked) -> None:
    name = unpacked("item-fault.sqlite")
    for env in ({}, {"NO_COLOR": "1"}, {"TERM": "xterm-256color"}):
        done = harness("gaps", name, **env)
        assert "\x1b" not in done.stdout
        assert done.stdout.startswith("The GPU idles ")


def test_show_and_the_page_say_the_same(inside, unpacked, tmp_path: Path) -> None:
    name = unpacked("item-fault.sqlite")
    drawn = inside("show", name)
    assert "\nThe GPU idles 2.95 ms of every 9.97 ms step (30%), as recorded" in drawn.stdout
    assert "Read of a device value: 2.91 ms a step to win." in " ".join(drawn.stdout.split())
    assert inside("report", name, "-o", "page.html").returncode == 0
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "The host reads a value from the GPU in" in page
    assert "Keep the value on the GPU" in page


def test_of_many_traces_the_worst_are_told(inside, examples, tmp_path: Path) -> None:
    names = [examples[0], examples[1]]
    for k in range(28):
        copy = f"c{k:02}.sqlite"
        (tmp_path / copy).symlink_to(EXAMPLES / "h100-cuda-graph-deferred.sqlite")
        names.append(copy)
    said, _, tables = inside("gaps", *names).stdout.partition("\n\n")
    flat = " ".join(said.split())
    assert flat.startswith("cuda-graph: The GPU idles 493 µs")
    assert flat.count("The GPU idles") == 5
    assert flat.endswith("In 25 more traces the GPU idles less, or as much.")
    assert len(said.splitlines()) <= 11
    assert tables.count("c27") >= 1
