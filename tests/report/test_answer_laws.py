"""What holds of every answer, whatever the names in a trace and however wide the terminal."""

from __future__ import annotations

import string
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.analysis.analyze import analyze
from harness.analysis.answer.kinds import Kind, kinds
from harness.analysis.answer.of_gains import change_text, filled, times
from harness.analysis.answer.sentence import Piece, plain_text, sentence
from harness.analysis.gains.changes import changes
from harness.analysis.gains.ladder import Rung
from harness.analysis.model.short_names import cut, shortened
from harness.analysis.reports.answers import answer_lines
from harness.analysis.reports.base import Report, Terminal, reporters
from harness.analysis.reports.md import code
from harness.entries import change_entries, entries_of, kind_entries
from harness.glossary import slug

from ..analysis.build import US, builder
from .page import Page

NAMES = st.text(
    alphabet=st.one_of(
        st.sampled_from("{}`*'\"\\<>&|[]()%$#@\n\r\t\x1b\x00\u202e\u200f\u2066 "),
        st.sampled_from(string.ascii_letters),
        st.characters(exclude_categories=("Cs",)),
    ),
    max_size=120,
)
FIGURES = st.floats(0, 1e12)
HOSTILE = "{0}{where} `a` **b** 'c' \"d\" <img src=x onerror=alert(1)>\n\x1b[31m\u202e_|[x](y)"
every_kind = pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.name)


def rung(where: str, call: str, figure: float = 1e6, change: str = "host") -> Rung:
    return Rung(
        change=change, where=where, call=call, gain_ns=figure, step_ns=figure, spent_ns=figure,
        idle_ns=figure, blocked_ns=None, launching=0.0, count=figure / 1e6, detail="", of_host=True,
    )  # fmt: skip


def is_one_line(text: str) -> bool:
    return not [c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp")]


@every_kind
@given(where=NAMES, call=NAMES, figure=FIGURES)
def test_names_add_nothing_to_a_sentence_but_themselves(
    kind: Kind, where: str, call: str, figure: float
) -> None:
    template = sentence(kind.because)
    said = filled(kind.because, rung(where, call, figure))
    assert [piece.kind for piece in said] == [piece.kind for piece in template]
    for piece, pattern in zip(said, template, strict=True):
        if "{" not in pattern.text:
            assert piece == pattern
    assert is_one_line(plain_text(said))


@every_kind
def test_a_kind_says_why_what_to_do_and_what_it_is(kind: Kind) -> None:
    told = plain_text(filled(kind.because, rung("misc", "cudaFree")))
    for text in (told, plain_text(sentence(kind.remedy)), kind.means):
        assert text[0].isupper() or text[0] in "'\"`"
        assert text.endswith(".")
        assert "  " not in text
    # The title stands right before it.
    assert not told.lower().startswith(kind.title)
    assert "{" not in told


def test_harness_explains_every_kind_and_every_change() -> None:
    assert [entry.code for entry in kind_entries()] == [kind.name for kind in kinds()]
    assert [entry.code for entry in change_entries()] == [change.name for change in changes()]
    for entry in (*kind_entries(), *change_entries()):
        assert slug(entry.code) == entry.code
        assert entry in entries_of(entry.code)
        assert entry.title.endswith(".")
        assert not (entry.remedy or "").endswith(".")


@pytest.mark.parametrize("change", [one.name for one in changes()])
@given(where=NAMES, call=NAMES)
def test_a_change_of_any_name_is_one_line(change: str, where: str, call: str) -> None:
    text = change_text(rung(where, call, change=change))
    assert is_one_line(text)
    assert text != change


@given(st.lists(NAMES, max_size=8), st.integers(16, 60))
def test_cut_names_fit_and_stay_apart(names: list[str], longest: int) -> None:
    short = shortened(names, longest)
    assert all(len(text) <= longest for text in short)
    for name, text in zip(names, short, strict=True):
        if name.isascii() and name.isalnum() and len(name) <= longest:
            assert text == name


@given(
    st.lists(st.text("ab_", min_size=30, max_size=90), min_size=2, max_size=6, unique=True),
    st.integers(16, 40),
)
def test_names_that_differ_anywhere_look_different(names: list[str], longest: int) -> None:
    assert len(set(shortened(names, longest))) == len(names)


@given(NAMES, st.integers(4, 40))
def test_a_cut_name_keeps_both_ends(name: str, longest: int) -> None:
    text = cut(name, longest)
    assert len(text) <= longest
    if len(name) > longest:
        begin, _, end = text.partition("…") if "…" not in name else (text[:1], "", text[-1:])
        assert name.startswith(begin)
        assert name.endswith(end)
        assert end


@given(NAMES)
def test_code_in_markdown_cannot_be_left(name: str) -> None:
    text = code(name)
    fence = text[: len(text) - len(text.lstrip("`"))]
    inner = text[len(fence) : len(text) - len(fence)]
    assert text.endswith(fence)
    assert fence not in inner or len(fence) > max(map(len, inner.split("`")), default=0)
    assert is_one_line(inner)


@given(NAMES)
def test_a_quoted_name_is_bounded_by_its_quotes(name: str) -> None:
    text = plain_text((Piece(name, "code"),))
    assert text[0] == text[-1]
    assert text[1:-1] == name


@given(st.floats(0, 1e6))
def test_how_often_is_english(count: float) -> None:
    assert not times(count).startswith(("1 ", "0 ", "1.0 ", "once in 1 "))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Report:
    trace, thread = builder()
    for k in range(14):
        at = 1000 + 1000 * k
        trace.nvtx(at * US, (at + 990) * US, f"Step {k}", thread=thread)
        trace.nvtx((at + 60) * US, (at + 900) * US, HOSTILE, thread=thread)
        for n in range(3):
            a = at + 5 + 10 * n
            trace.launch(
                a * US,
                (a + 4) * US,
                (a + 9) * US,
                (a + 18) * US,
                thread=thread,
                name=HOSTILE * (n + 1),
            )
    path = tmp_path_factory.mktemp("hostile") / "a`b**.sqlite"
    trace.write(path)
    return Report((analyze(Path(path)),))


@pytest.mark.parametrize("width", [20, 33, 47, 60, 80, 99, 120, 200])
def test_no_line_of_an_answer_is_too_wide(hostile: Report, width: int) -> None:
    lines = [line for line, _ in answer_lines(hostile, width)]
    assert lines
    assert "<img" in " ".join(lines)
    for line in lines:
        assert len(line) <= width or " " not in line.strip()
        assert is_one_line(line)


def test_no_name_brings_markup_into_the_page(hostile: Report) -> None:
    page = Page(reporters()["html"].render(hostile, Terminal()))
    assert "<img src=x onerror=alert(1)>" in page.text
    assert not [tag for tag, _ in page.tags if tag == "img"]


def test_no_name_brings_marks_into_markdown(hostile: Report) -> None:
    text = reporters()["md"].render(hostile, Terminal())
    told = text.partition("\n\n")[0]
    assert "`` {*}{where} `a` **b**" in told
    assert "\x1b" not in text
