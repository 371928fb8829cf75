"""A bounded run of the fuzzer: the same mutators and the same oracle, with choices that shrink."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from . import bases
from .oracle import Depth
from .seeds import mutant
from .targets import TARGETS, run

EXAMPLES = {"sqlite": 30, "folder": 30, "json": 70, "manifest": 40, "gpu": 80}
"""Mutants in each run of the tests; `make fuzz` runs as many as you like."""


@pytest.mark.parametrize("name", TARGETS)
def test_no_mutant_breaks_a_reader(name: str) -> None:
    target = TARGETS[name]

    @settings(
        max_examples=EXAMPLES[name], deadline=None, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.sampled_from(target.mutators), st.randoms(use_true_random=False))
    def hold(mutator: str, random: Random) -> None:
        run(target, target.make(mutator, random), mutator)

    hold()


@pytest.mark.parametrize("name", ["sqlite", "folder", "json"])
def test_what_must_not_matter(name: str) -> None:
    target = TARGETS[name]
    for mutator in sorted(target.unseen):
        for seed in range(1):
            made = target.make(mutator, Random(seed))
            assert run(target, made, mutator, depth=Depth.FIGURES).kind == "same", mutator


def test_every_truncation_at_a_page_is_refused() -> None:
    """A copy that broke off anywhere has to be noticed, and in one line."""
    data = bases.sqlite_base("loop")
    for size in range(0, len(data), bases.PAGE):
        found = run(TARGETS["sqlite"], data[:size], "bytes:truncate_at_a_page")
        assert found.kind == "refused", size
        assert "truncated" in found.said or "empty" in found.said


def test_a_seed_is_one_mutant() -> None:
    for seed in range(40):
        one, other = mutant(seed), mutant(seed)
        assert (one.target.name, one.mutator, one.data) == (
            other.target.name,
            other.mutator,
            other.data,
        )


def test_the_oracle_sees_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that loses a row, or adds up wrongly, does not get past it."""
    from harness.analysis.readers import join
    from harness.analysis.readers.operations import RawOperations, join_operations

    from .oracle import Broken

    def lossy(tables: list[dict[str, object]]) -> RawOperations:
        raw = join_operations(tables)
        columns = {name: column[1:] for name, column in raw.columns.items()}
        return RawOperations(
            columns, raw.kind[1:], raw.copy_kind[1:], raw.peer[1:], raw.pageable[1:], raw.dropped
        )

    sound = (("sqlite", bases.sqlite_base("loop")), ("json", bases.json_base("kineto_2_11")))
    for name, data in sound:
        run(TARGETS[name], data, "bytes:append")  # what it compares with is known from here on
    monkeypatch.setattr(join, "join_operations", lossy)
    for name, data in sound:
        with pytest.raises(Broken, match="by another way"):
            run(TARGETS[name], data, "bytes:append")
