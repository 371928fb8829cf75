"""Every word that output uses has a plain entry; docs/glossary.md is made of them."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

import pytest

from harness.entries import all_entries, entries_of
from harness.glossary import slug, word_of, words

from ..conftest import ROOT

SCRIPT = ROOT / "scripts" / "glossary.py"
LONGEST = 45
"""Words of an entry: it is read at night."""


def test_the_page_is_what_the_words_say() -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def heads() -> Iterator[tuple[str, str]]:
    """(file, text) of every column's head in the sources."""
    for folder in ("analysis", "harness"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                name = isinstance(node, ast.Call) and getattr(node.func, "id", "")
                if name == "Column" and len(node.args) > 1:
                    head = node.args[1]
                    if isinstance(head, ast.Constant) and isinstance(head.value, str):
                        yield path.name, head.value


def test_every_column_s_head_is_explained() -> None:
    found = dict.fromkeys(heads())
    assert len(found) > 150
    assert [head for _, head in found if not entries_of(head)] == []


@pytest.mark.parametrize(
    "term",
    [
        "idle", "busy", "gap", "window", "steady state", "period", "kind", "gain", "drained by",
        "drained_by", "boundary", "boundary_ns", "unassigned", "inter_ns", "intra", "idle µs",
        "idle us", "recov. µs", "p95 µs", "limiter", "straggler", "degraded", "Idle", "[idle]",
        "steady_state", "host", "sync", "few-steps", "what-if", "replay", "bare", "CUDA graph",
    ],
)  # fmt: skip
def test_a_term_of_the_output_is_explained(inside, term) -> None:
    assert inside("explain", *term.split()).stdout == inside("explain", term).stdout
    assert inside("explain", term).stdout


def test_other_names_lead_to_one_word() -> None:
    own = Counter(word.code for word in words())
    assert not [code for code, count in own.items() if count > 1]
    others = [slug(name) for word in words() for name in word.also]
    assert not [name for name, count in Counter(others).items() if count > 1]
    assert not set(others) & set(own)


def test_entries_are_short_and_begin_with_a_sentence() -> None:
    for word in words():
        plain = re.sub(r"\]\([^)]*\)", "", word.text)
        assert len(plain.split()) <= LONGEST, word.name
        assert re.match(r"[A-Z`]", word.text), word.name
        assert word.text.endswith("."), word.name


def test_a_cause_s_own_entry_comes_before_the_word() -> None:
    assert [entry.kind for entry in entries_of("launch")] == ["idle cause", "word"]


def test_a_slip_is_led_to_the_word(inside) -> None:
    refused = inside("explain", "stedy", "state")
    assert refused.returncode == 2
    assert "did you mean steady-state?" in refused.stderr


def test_the_list_has_the_words(inside) -> None:
    listed = inside("explain").stdout
    assert all(f"  {word.name}" in listed for word in words())
    assert all(entry.code in listed for entry in all_entries().values())
    assert word_of("idle")[0].name == "idle"
