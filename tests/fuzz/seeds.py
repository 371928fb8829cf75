"""From a number to a mutant: the same one on every machine, so that any finding can be replayed."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from .oracle import Outcome
from .targets import TARGETS, Target, run

DEEP_EVERY = 40
"""Of so many mutants one is also drawn by the slow reporters and searched for unmarked steps."""


@dataclass(frozen=True)
class Mutant:
    """One file that some reader has to survive."""

    target: Target
    mutator: str
    data: bytes
    deep: bool

    def run(self) -> Outcome:
        """Have it read and judged. Raises whatever is no refusal."""
        return run(self.target, self.data, self.mutator, deep=self.deep)


def mutant(seed: int, only: str | None = None) -> Mutant:
    """The mutant of a seed; `only` names the one target wanted."""
    random = Random(f"mutant {seed}")
    names = list(TARGETS)
    chosen = random.choices(names, [TARGETS[name].weight for name in names])[0]
    target = TARGETS[only or chosen]
    mutator = random.choice(target.mutators)
    deep = random.randrange(DEEP_EVERY) == 0
    return Mutant(target, mutator, target.make(mutator, random), deep)
