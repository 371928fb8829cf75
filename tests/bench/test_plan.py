"""Cells, plans, presets, and what a time budget picks."""

from __future__ import annotations

import sys

import pytest

from harness.bench.cells import parse_strategy, product
from harness.bench.plan import Plan, Protocol, presets
from harness.bench.schedule import chosen, order
from harness.decode.strategies import resolve
from harness.decode.workload import Workload
from harness.errors import UsageError

BASE = Workload(steps=None)


@pytest.mark.parametrize(
    ("text", "name", "choices"),
    [
        ("kv-cache", "kv-cache", ("dynamic", "eager", "sync", "default")),
        ("kv-cache+pingpong", "pipelined", ("dynamic", "eager", "pingpong", "default")),
        ("kv-cache+expandable", "kv-cache-expandable", ("dynamic", "eager", "sync", "expandable")),
        ("baseline+pingpong", "baseline+pingpong", ("none", "eager", "pingpong", "default")),
        (
            "static-cache+never+expandable",
            "static-cache+never+expandable",
            ("static", "eager", "never", "expandable"),
        ),
    ],
)
def test_a_strategy_with_choices(text: str, name: str, choices: tuple[str, ...]) -> None:
    found, workload = parse_strategy(text, BASE)
    assert found == name
    assert tuple(resolve(workload).choices.values()) == choices
    # The name means the same when it is read again.
    assert resolve(parse_strategy(found, BASE)[1]).choices == resolve(workload).choices


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nothing", "no strategy is called 'nothing'"),
        ("kv-cache+nothing", "no choice is called 'nothing'"),
        ("kv-cache+sync+never", "exclude each other"),
        ("kv-cache+cuda-graph", "fixed shape"),
        ("hf-generate+static", "takes no --cache"),
    ],
)
def test_what_cannot_be(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse_strategy(text, BASE)


def test_every_cell_once() -> None:
    cells = product(["pipelined", "kv-cache+pingpong"], [1, 2], [10], BASE)
    assert [cell.key for cell in cells] == ["pipelined b1 t10", "pipelined b2 t10"]


def test_the_article_has_every_table() -> None:
    cells, sections = presets()["article"].make(BASE)
    keys = [cell.key for cell in cells]
    assert len(keys) == len(set(keys))
    for setup in ("baseline", "kv-cache", "kv-cache-expandable", "static-cache", "compiled"):
        for length in (100, 200, 400):
            assert f"{setup} b32 t{length}" in keys
    shown = {section.title: section for section in sections}
    assert set(shown["Ranking"].cells) >= {"baseline b32 t100", "pipelined-compiled b32 t100"}
    pipelined = shown["Pipelined (two streams, safe)"].cells
    assert len(pipelined) == 15
    by_key = {cell.key: cell for cell in cells}
    assert {resolve(by_key[key].workload).stop_check for key in pipelined} == {"pingpong"}
    assert all(key in by_key for section in sections for key in section.cells)
    assert {cell.workload.eos_id for cell in cells} == {-1}


def test_a_plan_survives_its_file() -> None:
    cells, sections = presets()["article"].make(BASE)
    plan = Plan(cells, sections, Protocol(rounds=4, seed=3), "article")
    assert Plan.from_json(plan.to_json()) == plan


def test_rounds_have_their_own_order() -> None:
    first, second = order(20, 0, 1), order(20, 0, 2)
    assert sorted(first) == sorted(second) == list(range(20))
    assert first != second
    assert first == order(20, 0, 1) != order(20, 1, 1)


COST = {0: 1.0, 1: 1.0, 2: 10.0}


@pytest.mark.parametrize(
    ("round_number", "runs", "left_s", "picked"),
    [
        (1, 0, 5.0, {0, 1, 2}),  # the first round visits everything
        (2, 1, None, {0, 1, 2}),  # no budget
        (2, 1, 30.0, {0, 1, 2}),  # two rounds of 12 s fit
        (2, 1, 16.0, {0, 1}),  # half of it is no room for the dear one
        (3, 2, 16.0, {0, 1, 2}),  # the last of the rounds that all should have
        (4, 3, 16.0, {0, 1}),  # spread over the rounds that are left
        (2, 1, 1.5, set()),
    ],
)
def test_a_budget_buys_the_cheap_cells_first(
    round_number: int, runs: int, left_s: float | None, picked: set[int]
) -> None:
    protocol = Protocol(rounds=10, least_runs=3)
    done = dict.fromkeys(COST, runs)
    assert chosen([0, 1, 2], done, COST, protocol, round_number, left_s) == picked


def test_planning_needs_no_torch() -> None:
    assert "harness.bench.plan" in sys.modules
    code = "import sys, harness.bench.request, harness.bench.run; sys.exit('torch' in sys.modules)"
    import subprocess

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"warmup_runs": 0}, "--warmup is 0"),
        ({"least_runs": 0}, "--min-runs is 0"),
        ({"rounds": 0}, "--rounds is 0"),
    ],
)
def test_a_refusal_names_an_option_that_there_is(values: dict[str, int], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Protocol(**values)


@pytest.mark.parametrize(
    "text",
    [
        "null",
        "[" * 100_000,
        '{"cells": [{"name": "x", "workload": null}], "sections": [], "protocol": {}}',
        '{"cells": [], "sections": [], "protocol": {"rounds": 0}, "preset": null}',
    ],
)
def test_anything_else_is_no_plan(text: str) -> None:
    with pytest.raises(ValueError, match="no plan: "):
        Plan.from_json(text)
