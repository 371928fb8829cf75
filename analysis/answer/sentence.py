"""Sentences in pieces, so that a page can mark up what a terminal prints plainly."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct


class Piece(Struct, frozen=True):
    """Part of a sentence; `strong` carries a figure, `code` a name from the trace or to type."""

    text: str
    kind: str = ""


Sentence = tuple[Piece, ...]


def sentence(text: str) -> Sentence:
    """Pieces of a text in which `**figures**` are strong and `` `names` `` are code.

    >>> [(piece.text, piece.kind) for piece in sentence("In `misc` **3 ms** go by.")]
    [('In ', ''), ('misc', 'code'), (' ', ''), ('3 ms', 'strong'), (' go by.', '')]
    """
    pieces: list[Piece] = []
    for k, part in enumerate(text.split("`")):
        if k % 2:
            pieces.append(Piece(part, "code"))
            continue
        for j, words in enumerate(part.split("**")):
            if words:
                pieces.append(Piece(words, "strong" if j % 2 else ""))
    return tuple(pieces)


def plain_text(pieces: Iterable[Piece]) -> str:
    """As a terminal shows it: names in quotes, double where a name holds a single one.

    >>> plain_text(sentence("In `misc` **3 ms** go by, in `don't` 4."))
    'In \'misc\' 3 ms go by, in "don\'t" 4.'
    """
    return "".join(quoted(one.text) if one.kind == "code" else one.text for one in pieces)


def quoted(name: str) -> str:
    """A name from a trace as it stands in a sentence."""
    return f'"{name}"' if "'" in name else f"'{name}'"
