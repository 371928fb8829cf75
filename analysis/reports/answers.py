"""The answers of a report as lines of text, before its tables."""

from __future__ import annotations

from collections.abc import Iterable

from ..answer.compose import Answer, answer_of
from ..answer.sentence import Piece, Sentence, plain_text
from ..figures.units import human
from ..report import TraceReport
from .base import Report
from .layout import folded
from .tables.place import brief_name

SHOWN = 5
"""Traces whose answers are told; of more, those in which the GPU idles most."""

Paragraph = tuple[str, tuple[Sentence, ...]]
"""Its head, empty where it has none, and its sentences."""


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
    lines: list[tuple[str, str]] = []
    for k, (head, sentences) in enumerate(paragraphs(report)):
        text = _joined(sentences)
        style = "" if k or len(report.traces) > 1 else "bold-text"
        lines += [
            (line, style) for line in folded(f"{head}: {text}" if head else text, width, "  ")
        ]
    return lines


def paragraphs(report: Report) -> list[Paragraph]:
    """What is said, in paragraphs: the whole answer of one trace, a line of each of several."""
    found = answers(report)
    if len(found) == 1:
        return _whole(found[0][1])
    told = found
    if len(found) > SHOWN:
        told = sorted(found, key=lambda one: -one[1].idle)[:SHOWN]
    said = [(brief_name(trace), brief(answer)) for trace, answer in told]
    left = len(found) - len(told)
    if left:
        more = "1 more trace" if left == 1 else f"{left} more traces"
        said.append(("", ((Piece(f"In {more} the GPU idles less, or as much."),),)))
    return said


def brief(answer: Answer) -> tuple[Sentence, ...]:
    """How much the GPU idles, of what kind the largest gain is, and what it would win."""
    if answer.kind is None:
        return (answer.lead,)
    if answer.rung is None:
        return (answer.lead, (Piece(f"Why: {answer.title}."),))
    title = Piece(_capital(answer.title))
    win = Piece(human(answer.rung.gain_ns), "strong")
    return (answer.lead, (title, Piece(": "), win, Piece(" a step to win.")))


def _whole(answer: Answer) -> list[Paragraph]:
    title = ((Piece(f"{answer.title}."),),) if answer.title else ()
    found: list[Paragraph] = [
        ("", (answer.lead, *answer.recorder)),
        ("But" if answer.despite else "Why", (*title, *answer.because)),
        ("To do", (*answer.remedy, *answer.gain)),
        ("Not certain", answer.doubts),
    ]
    return [(head, sentences) for head, sentences in found if sentences]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _joined(sentences: Iterable[Sentence]) -> str:
    return " ".join(plain_text(one) for one in sentences)
