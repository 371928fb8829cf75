"""The answers of a report as lines of text, before its tables."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from ..answer.compose import Answer, answer_of
from ..answer.sentence import Sentence, plain_text
from ..figures.units import human
from ..model.text import plain
from ..report import TraceReport
from .base import Report
from .tables.place import name_of

LONGEST = 40
"""Characters of a trace's name."""


def wanted(report: Report) -> bool:
    """Whether answers are shown: not where a view of its own was asked for."""
    asked = report.question
    return not (asked.by or asked.top or asked.definitions)


def answers(report: Report) -> list[tuple[TraceReport, Answer]]:
    """One a trace, in the order of the tables."""
    asked = report.question
    return [(trace, answer_of(trace, asked.typed())) for trace in report.by_label]


def answer_lines(report: Report, width: int) -> list[tuple[str, str]]:
    """(line, style): of one trace a paragraph with all of its answer, of several a line or two
    each; no line is longer than `width` unless a word is."""
    if not wanted(report):
        return []
    found = answers(report)
    if len(found) == 1:
        return _whole(found[0][1], width)
    lines: list[tuple[str, str]] = []
    for trace, answer in found:
        name = plain(name_of(trace), LONGEST)
        lines += [(line, "") for line in _wrapped(f"{name}: {brief(answer)}", width)]
    return lines


def brief(answer: Answer) -> str:
    """How much the GPU idles, of what kind the largest gain is, and what it would win."""
    text = plain_text(answer.lead)
    if answer.kind is None:
        return text
    title = answer.title[:1].upper() + answer.title[1:]
    if answer.rung is None:
        return f"{text} {title}."
    return f"{text} {title}: {human(answer.rung.gain_ns)} a step to win."


def _whole(answer: Answer, width: int) -> list[tuple[str, str]]:
    lines = [(line, "bold-text") for line in _wrapped(plain_text(answer.lead), width)]
    because = _joined(answer.because)
    if answer.title:
        because = f"{answer.title}. {because}"
    for head, text in (
        ("Why", because),
        ("To do", _joined((*answer.remedy, *answer.gain))),
        ("Not certain", _joined(answer.doubts)),
    ):
        if text:
            lines += [(line, "") for line in _wrapped(f"{head}: {text}", width)]
    return lines


def _joined(sentences: Iterable[Sentence]) -> str:
    return " ".join(plain_text(one) for one in sentences)


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(
        text, max(width, 20), subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
