"""What is measured: cells, each one strategy at one batch size and length. Imports no torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from ..decode.errors import NoSuchStrategy
from ..decode.registry import KINDS, choice_names, strategy_names
from ..decode.strategies import resolve
from ..decode.workload import Workload
from ..errors.options import UnknownChoice
from .errors import ChoicesConflict


@dataclasses.dataclass(frozen=True)
class Cell:
    """One strategy at one batch size and length; `name` is the strategy's, as it is shown."""

    name: str
    workload: Workload

    @property
    def key(self) -> str:
        """What pairs cells of two sessions: `kv-cache b32 t100`."""
        return f"{self.name} b{self.workload.batch_size} t{self.workload.max_new_tokens}"

    @property
    def allocator(self) -> str:
        """The allocator choice: it decides which process runs the cell."""
        return resolve(self.workload).allocator


def parse_strategy(text: str, base: Workload) -> tuple[str, Workload]:
    """(name, workload) of a preset with choices that override it: `baseline+pingpong`.

    Each word after a `+` is a value of one of the four choices (cache, execution, stop check,
    allocator); their names are unique. A combination that is a preset gets the preset's name.
    Raises UsageError for an unknown word, two values of one choice, or what cannot work anywhere.
    """
    preset, *words = (word.strip() for word in text.split("+"))
    if preset not in strategy_names():
        raise NoSuchStrategy(
            f"no strategy is called {preset!r}",
            remedy="`harness strategies` lists what there is; use NAME or NAME+CHOICE",
        )
    changes: dict[str, Any] = {}
    for word in words:
        kind = next((kind for kind in KINDS if word in choice_names(kind)), None)
        if kind is None:
            raise UnknownChoice(
                f"{text!r}: no choice is called {word!r}",
                remedy="`harness strategies --choices` lists them",
            )
        if changes.setdefault(kind, word) != word:
            raise ChoicesConflict(
                f"{text!r} asks for {changes[kind]} and {word}, which exclude each other"
            )
    workload = dataclasses.replace(base, strategy=preset, **changes)
    found = resolve(workload)
    if found.name in strategy_names():
        plain: dict[str, Any] = dict.fromkeys(KINDS)
        return found.name, dataclasses.replace(workload, strategy=found.name, **plain)
    return "+".join((preset, *words)), workload


def product(
    strategies: Sequence[str], batch_sizes: Sequence[int], lengths: Sequence[int], base: Workload
) -> tuple[Cell, ...]:
    """Every strategy at every batch size and length, in the order given, nothing twice."""
    cells: dict[str, Cell] = {}
    for batch in batch_sizes:
        for length in lengths:
            sized = dataclasses.replace(base, batch_size=batch, max_new_tokens=length)
            for text in strategies:
                cell = Cell(*parse_strategy(text, sized))
                cells.setdefault(cell.key, cell)
    return tuple(cells.values())
