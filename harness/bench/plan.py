"""A plan: what a session measures, how often, and which tables it is for. Imports no torch.

A preset is one file in `presets/` that defines `PRESET`; the command line finds it there.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import json
from collections.abc import Callable, Mapping
from typing import Any, Literal

from ..decode.workload import Workload
from ..errors import UsageError
from ..errors.options import ValueOutOfRange
from .cells import Cell

PLAN_VERSION = 1


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How a cell is measured.

    A visit builds the cell afresh in an empty allocator, warms it up, and times one run. The
    warm-up makes `warmup_runs` runs at least; on a cell's first visit it goes on until two runs in
    a row differ by less than `stable_within` (a share), for at most `warmup_most` runs, and starts
    none after `warmup_s` seconds. There are at most `rounds` rounds; a time budget is spread
    over `least_runs` of them first (see `schedule.chosen`).
    """

    rounds: int = 10
    least_runs: int = 3
    warmup_runs: int = 1
    warmup_most: int = 6
    warmup_s: float = 1.0
    stable_within: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        options = {"rounds": "rounds", "least_runs": "min-runs", "warmup_runs": "warmup"}
        for name, option in options.items():
            if getattr(self, name) < 1:
                raise ValueOutOfRange(
                    f"--{option} is {getattr(self, name)}", remedy="use 1 or more"
                )


@dataclasses.dataclass(frozen=True)
class Section:
    """One set of tables: `kind` names how `cells` (their keys) are shown, `against` the baseline's
    strategy name where ratios are shown."""

    title: str
    kind: Literal["tables", "sweep", "overhead", "ranking"]
    cells: tuple[str, ...]
    against: str | None = None


@dataclasses.dataclass(frozen=True)
class Plan:
    """Everything that decides what is measured; a session stores it and resumes by it."""

    cells: tuple[Cell, ...]
    sections: tuple[Section, ...]
    protocol: Protocol = Protocol()
    preset: str | None = None

    def to_json(self) -> str:
        """One line; `from_json` reverses it."""
        return json.dumps(
            {
                "plan_version": PLAN_VERSION,
                "preset": self.preset,
                "protocol": dataclasses.asdict(self.protocol),
                "cells": [{"name": c.name, "workload": c.workload.to_dict()} for c in self.cells],
                "sections": [dataclasses.asdict(section) for section in self.sections],
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Rebuild from `to_json`; raises ValueError for anything else."""
        try:
            data: Mapping[str, Any] = json.loads(text)
            cells = [Cell(c["name"], Workload.from_dict(c["workload"])) for c in data["cells"]]
            sections = [
                Section(**{**section, "cells": tuple(section["cells"])})
                for section in data["sections"]
            ]
            protocol = Protocol(**data["protocol"])
            return cls(tuple(cells), tuple(sections), protocol, data["preset"])
        except (KeyError, TypeError, AttributeError, RecursionError, UsageError) as error:
            raise ValueError(f"no plan: {error}") from error


@dataclasses.dataclass(frozen=True)
class Preset:
    """A ready-made plan. `make(base)` gives its cells and sections for the base workload, whose
    strategy, batch size and length it decides itself."""

    name: str
    summary: str
    make: Callable[[Workload], tuple[tuple[Cell, ...], tuple[Section, ...]]]


@functools.cache
def presets() -> dict[str, Preset]:
    """Every preset by name."""
    package = importlib.import_module(f"{__package__}.presets")
    found = [
        importlib.import_module(f".{name}", package.__name__).PRESET for name in package.MODULES
    ]
    return {preset.name: preset for preset in found}
