"""Rows of text under one header, in so many columns of a terminal: which columns, and how wide.

Not rich's own table: that one takes half a millisecond a row, and a trace has many steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from .base import Column, Table

GAP = 2
"""Blanks between two columns."""
NARROW = 14
"""Columns below which no text is folded."""
_WIDE = 28
"""A text this long is folded before any column is left out for its sake."""
_KEEP_AT_LEAST = 4
_UNITS = ("ns", "µs", "ms", "s", "GB")


class Grid(Struct, frozen=True):
    """Which columns are shown, in which widths."""

    chosen: tuple[int, ...]
    widths: tuple[int, ...]
    left: tuple[bool, ...]
    """Texts stand left, numbers right."""

    def line(self, cells: Sequence[str]) -> Iterator[str]:
        """One row as lines of the terminal: texts that are too long go on in the next line."""
        parts = [
            folded(cells[k], width) if left or len(cells[k]) > width else (cells[k],)
            for k, width, left in zip(self.chosen, self.widths, self.left, strict=True)
        ]
        yield from self._rows(parts)

    def head(self, titles: Sequence[str]) -> Iterator[str]:
        """The header: titles of more words than a column is wide stand on its last lines."""
        parts = [_lines(titles[k], w) for k, w in zip(self.chosen, self.widths, strict=True)]
        high = max(map(len, parts), default=0)
        yield from self._rows([(*[""] * (high - len(part)), *part) for part in parts])

    def _rows(self, parts: Sequence[Sequence[str]]) -> Iterator[str]:
        for n in range(max(map(len, parts), default=0)):
            yield (
                (" " * GAP)
                .join(
                    _padded(part[n] if n < len(part) else "", width, left)
                    for part, width, left in zip(parts, self.widths, self.left, strict=True)
                )
                .rstrip()
            )

    @property
    def rule(self) -> str:
        """The line under the header."""
        return "─" * (sum(self.widths) + GAP * (len(self.widths) - 1))


def grid_of(
    table: Table,
    cells: Sequence[Sequence[str]],
    gives_way: Sequence[str],
    width: int,
    last: Sequence[str] = (),
) -> Grid:
    """Columns give way in the order of their names, then texts fold, until all fits `width`.

    Those in `last` give way only where it is too narrow even for texts folded as far as they go.
    """
    columns = table.columns
    held = [max((cell_width(row[k]) for row in cells), default=0) for k in range(len(columns))]
    natural = [max(h, cell_width(c.title)) for h, c in zip(held, columns, strict=True)]
    whole = natural
    if _total(map(_limited, natural, columns)) > width:
        # Heads are folded before any column is left out.
        natural = [
            n if _is_text(c) else max(h, *map(cell_width, _words(c.title)))
            for n, h, c in zip(natural, held, columns, strict=True)
        ]
    wanted = list(map(_limited, natural, columns))
    least = [min(n, NARROW) if _is_text(c) else n for n, c in zip(natural, columns, strict=True)]
    chosen = list(range(len(columns)))
    for names, needs in ((gives_way, wanted), (last, least)):
        for name in names:
            if _total(needs[k] for k in chosen) <= width or len(chosen) <= _KEEP_AT_LEAST:
                break
            if name not in table.subject:
                chosen = [k for k in chosen if columns[k].name != name]
    if _total(whole[k] for k in chosen) <= width:
        natural = whole
    widths = {k: natural[k] for k in chosen}
    _narrow(widths, [k for k in chosen if _is_text(columns[k])], width)
    return Grid(
        tuple(chosen),
        tuple(widths[k] for k in chosen),
        tuple(_is_text(columns[k]) for k in chosen),
    )


def _words(title: str) -> list[str]:
    """The words of a head, its unit with the word before it."""
    words = title.split(" ")
    if len(words) > 1 and words[-1] in _UNITS:
        words[-2:] = [" ".join(words[-2:])]
    return words


def _lines(title: str, width: int) -> Sequence[str]:
    """A head in lines of at most `width` columns, where no word of it is wider."""
    lines: list[str] = []
    for word in _words(title):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and cell_width(longer) <= width:
            lines[-1] = longer
        else:
            lines += folded(word, width)
    return lines


def _narrow(widths: dict[int, int], texts: Sequence[int], width: int) -> None:
    """Take from the widest texts, all to one width, until the columns fit."""
    excess = _total(iter(widths.values())) - width
    while excess > 0:
        widest = max((widths[k] for k in texts), default=0)
        if widest <= NARROW:
            return
        some = [k for k in texts if widths[k] == widest]
        below = max([widths[k] for k in texts if widths[k] < widest] + [NARROW])
        give = min(widest - below, -(-excess // len(some)))
        for k in some:
            taken = min(give, excess)
            widths[k] -= taken
            excess -= taken


def _limited(natural: int, column: Column) -> int:
    """How wide a column wants to be: texts can fold."""
    return min(natural, _WIDE) if _is_text(column) else natural


def _is_text(column: Column) -> bool:
    return column.show == "text"


def _total(widths: Iterable[int]) -> int:
    every = list(widths)
    return sum(every) + GAP * max(len(every) - 1, 0)


def cell_width(text: str) -> int:
    """Columns of the terminal that a text takes: wide characters take two."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _padded(text: str, width: int, left: bool) -> str:
    blanks = " " * max(width - cell_width(text), 0)
    return text + blanks if left else blanks + text


def folded(text: str, width: int) -> Sequence[str]:
    """A text in lines of at most `width` columns, cut at blanks where there are any."""
    if cell_width(text) <= width:
        return (text,)
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if cell_width(longer) <= width:
            line = longer
            continue
        if line:
            lines.append(line)
        line = word
        while cell_width(line) > width:
            fits = _fitting(line, width)
            lines.append(line[:fits])
            line = line[fits:]
    return (*lines, line) if line else lines


def _fitting(text: str, width: int) -> int:
    """How many characters fit, at least one."""
    count = min(width, len(text))
    while count > 1 and cell_width(text[:count]) > width:
        count -= 1
    return max(count, 1)
