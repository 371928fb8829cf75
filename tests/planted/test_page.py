"""docs/planted.md says what the harness says today, and the rule that judges the tools is fair."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from ..conftest import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))

from planted_judge import ACCEPTED, WORDS, Finding, Said, judge
from planted_vs_peers import Ours, ask_all, kept, loops, sections, unpacked, written

PAGE = ROOT / "docs" / "planted.md"
AGAIN = "python benchmarks/planted_vs_peers.py --write docs/planted.md"


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Ours]]:
    folder = tmp_path_factory.mktemp("planted")
    unpacked(folder)
    return ask_all(folder)


def test_the_page_is_current(ours: dict[str, dict[str, Ours]]) -> None:
    page = PAGE.read_text()
    assert written(page, sections(ours, kept())) == page, f"to write it anew: {AGAIN}"


def test_the_predicted_step_is_the_one_that_the_answer_tells(
    ours: dict[str, dict[str, Ours]],
) -> None:
    for answers in ours.values():
        for name, answer in answers.items():
            if name.endswith("-fault"):
                assert answer.step_us is not None, name
                told = re.findall(r"(?:leave|takes) ([\d.]+) (ms|µs)", answer.gain)
                assert told, answer.gain
                figure = float(told[0][0]) * (1000 if told[0][1] == "ms" else 1)
                assert answer.step_us == pytest.approx(figure, rel=0.006), name


def test_every_recording_has_an_answer_of_every_tool(ours: dict[str, dict[str, Ours]]) -> None:
    peers = kept()
    for recorder, tools in {"shim": ("nsys rules", "nsys-ai"), "torch": ("HTA",)}.items():
        names = {
            f"{loop['loop']}-{variant}"
            for loop in loops()
            for variant in ("fault", "clean")
            if loop["recorder"] == recorder and variant in loop
        }
        assert set(ours[recorder]) == names
        for tool in tools:
            assert set(peers.said[tool]) == names


def said(*findings: Finding) -> Said:
    return Said(100.0, list(findings))


@pytest.mark.parametrize("loop", loops(), ids=lambda loop: f"{loop['loop']}-{loop['recorder']}")
def test_every_planted_kind_can_be_named(loop: dict[str, str]) -> None:
    assert set(ACCEPTED[loop["kind"]]) <= set(WORDS)
    assert ACCEPTED[loop["kind"]] or "fault" not in loop


def test_a_fault_is_named_by_kind_kin_or_place() -> None:
    kind = "read of a device value"
    assert judge(said(Finding("found .item() calls")), kind, ["misc"]).level == "names"
    assert judge(said(Finding("Synchronous APIs")), kind, ["misc"]).level == "names"
    assert judge(said(Finding("slow range", "misc takes long")), kind, ["misc"]).level == "names"
    assert judge(said(Finding("slow range", "miscellany")), kind, ["misc"]).level == "nothing"


def test_idle_time_is_a_symptom_and_another_kind_is_wrong() -> None:
    idle, copies = Finding("GPU idle 40%"), Finding("Pageable memory")
    assert judge(said(idle), "polling", []).level == "symptom"
    both = judge(said(copies, idle), "polling", [])
    assert (both.level, both.beside) == ("symptom", ("copies",))
    assert judge(said(copies), "polling", []).level == "wrong"
    assert judge(said(), "polling", []).level == "nothing"
    assert judge(Said(0, [], "no table"), "polling", []).level == "cannot read"


def test_what_takes_little_time_and_advice_for_any_loop_are_passed_over() -> None:
    assert judge(said(Finding("Pageable memory", ms=4.9)), "pageable copy", []).level == "nothing"
    assert judge(said(Finding("Pageable memory", ms=5.0)), "pageable copy", []).level == "names"
    one = Finding("bubble", remedy="Take large pinned buffers.")
    any_loop = Finding("bubble", remedy="Use CUDA graphs, a faster DataLoader, or no .item().")
    assert judge(said(one), "pageable copy", []).level == "names"
    assert judge(said(any_loop), "input pipeline", []).level == "symptom"


def test_a_page_without_the_places_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no place for 'json'"):
        written("<!-- clean --><!-- end of clean -->", {"json": "table"})
    assert written("a <!-- x -->old<!-- end of x --> b", {"x": "new"}) == (
        "a <!-- x -->\nnew\n<!-- end of x --> b"
    )
