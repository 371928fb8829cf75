"""From a number to a mutant: the same one on every machine, so that any finding can be replayed."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from .oracle import Depth, Outcome
from .targets import TARGETS, Target, run

DRAWN_EVERY, DEEP_EVERY = 4, 152
"""Of so many mutants one is also drawn, and one by the slow reporters too."""


@dataclass(frozen=True)
class Mutant:
    """One file that some reader has to survive."""

    target: Target
    mutator: str
    data: bytes
    depth: Depth

    def run(self) -> Outcome:
        """Have it read and judged. Raises whatever is no refusal."""
        return run(self.target, self.data, self.mutator, depth=self.depth)


def mutant(seed: int, only: str | None = None) -> Mutant:
    """The mutant of a seed; `only` names the one target wanted."""
    random = Random(f"mutant {seed}")
    names = list(TARGETS)
    chosen = random.choices(names, [TARGETS[name].weight for name in names])[0]
    target = TARGETS[only or chosen]
    mutator = random.choice(target.mutators)
    draw = random.randrange(DEEP_EVERY)
    depth = Depth.ALL if draw == 0 else Depth(int(draw % DRAWN_EVERY == 0))
    return Mutant(target, mutator, target.make(mutator, random), depth)
