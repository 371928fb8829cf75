"""Which NVTX ranges are steps, told by their names while the program runs."""

from __future__ import annotations

import fnmatch
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# A word for a step, then a number: `Step 7`, `Steps 8:16`, `ProfilerStep#7`, `train_step 7`,
# `iteration 7`, `batch-7`, `step[7]`. Upper case may begin the word inside a name.
_NUMBERED = re.compile(
    r"(?:^|[^A-Za-z]|(?<=[a-z])(?=[A-Z]))(?:[Ss]teps?|[Ii]ter(?:ation)?s?|[Bb]atch|STEP|ITER)"
    r"[^A-Za-z0-9]{0,3}(\d+)"
)
# Loops that do not count their steps: `train_step`, `step[DECODE bs=32]`, vLLM's batches.
_UNNUMBERED = re.compile(
    r"(?:^|[^A-Za-z])[Ss]tep(?:$|[^A-Za-z])|^execute_context_\d+.{0,80}_generation_\d+"
)
_NUMBER = re.compile(r"\d+")


_MOST = 256
"""Characters of a name that are looked at."""


def family(name: str) -> str:
    """The name without its numbers: ranges of one loop share it."""
    return _NUMBER.sub("#", name)


def matcher(
    globs: Sequence[str], regexes: Sequence[str]
) -> Callable[[str], tuple[int | None] | None]:
    """A function that gives (number or None,) of a step's name, and None of another name.

    Without patterns a step has a word for it in its name, and mostly a number after that. With
    patterns the number is the first one in the name, and need not be there.
    """
    if not globs and not regexes:

        def known(name: str) -> tuple[int | None] | None:
            name = name[:_MOST]
            found = _NUMBERED.search(name)
            if found:
                return (int(found[1]),)
            return (None,) if _UNNUMBERED.search(name) else None

        return known
    made = [re.compile(fnmatch.translate(glob)).match for glob in globs]
    made += [re.compile(regex).search for regex in regexes]

    def asked(name: str) -> tuple[int | None] | None:
        if not any(match(name) for match in made):
            return None
        found = _NUMBER.search(name)
        return (int(found[0]) if found else None,)

    return asked
