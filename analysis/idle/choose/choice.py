"""Which steps a trace has where nobody named them, and in which words that is said.

In this order: the harness's own `Step N`, torch.profiler's `ProfilerStep#N`, those of an inference
engine, the outermost family of ranges that repeats on a thread that launches. Beyond that there are
repeats of the work itself, which `repeats.py` looks for. However a trace is cut, the choice is the
same.
"""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from ...model.arrays import factorize, stretches
from ...question import DEFAULT_STEP, Question, StepPattern, patterns_of
from ...store.opened import Store
from ...store.whole import Whole
from ..engines import Engine, engine_of, kind_of
from ..proposals import Whose, glob_of, whose
from ..sizes import Sizes
from .families import LEAST, families, held_by
from .outermost import Judged, best, judged, outermost

LONGEST = 80
"""Characters of a wildcard that is typed again."""
PROFILER_STEP = "ProfilerStep#*"
_PROFILER_STEP = re.compile(r"ProfilerStep#\d+\Z")


class Chosen(Struct, frozen=True):
    """What was taken for the steps of a trace."""

    globs: tuple[str, ...] = ()
    """As `--step` and `--step-regex` take them; both empty for the harness's own, for repeats of
    the work, and where there is nothing."""
    regexes: tuple[str, ...] = ()
    own: bool = False
    """The harness's own: nothing has to be said."""
    repeats: bool = False
    """Repeats of the work, which no range marks."""
    reason: str = ""
    """What they are and why they were taken, or why no range is one."""
    loop: str = ""
    """Why there are no repeats of the work either."""

    @property
    def ranges(self) -> bool:
        """Whether ranges mark them."""
        return self.own or bool(self.globs or self.regexes)

    @property
    def said(self) -> str:
        """The choice among ranges in a sentence, and how to change it; empty for the harness's own,
        and where none was made."""
        if self.own or not self.ranges:
            return ""
        return f"{self.reason}; --step 'GLOB' takes others."

    @property
    def name(self) -> str:
        """What is taken, in a few words."""
        if self.own:
            return "Step N"
        ranges = ", ".join((*self.globs, *self.regexes))
        return ranges or ("repeats of the work" if self.repeats else "none")

    @property
    def patterns(self) -> tuple[StepPattern, ...]:
        """That find them among the ranges of the trace; the harness's own where there are none."""
        return patterns_of(self.globs, self.regexes) or (DEFAULT_STEP,)

    @property
    def typed(self) -> tuple[str, ...]:
        """The options that choose the same."""
        return self.asked(Question()).typed()

    def asked(self, question: Question) -> Question:
        """The question that names what was chosen."""
        found = patterns_of(self.globs, self.regexes)
        return replace(question, patterns=found, infer=question.infer or self.repeats)


OWN = Chosen(own=True)


class _Names(Struct):
    """The distinct names of a trace's ranges, by whose they are."""

    profiler: set[int]
    engines: dict[int, Engine]
    families: dict[int, str]
    frameworks: set[str]


def choose(tables: Whole | Store, sizes: Sizes) -> Chosen:
    """The steps of a trace by its ranges; reasons where none of them may be steps."""
    names = _names(tables, sizes)
    if names is None:
        return OWN
    if names.profiler and _often(tables, sizes, names.profiler) >= LEAST:
        return _profiler()
    found = _of_engine(tables, sizes, names.engines) or _of_family(tables, sizes, names)
    if names.profiler and not found.ranges:
        return _profiler()
    return found


def _profiler() -> Chosen:
    return Chosen(
        globs=(PROFILER_STEP,), reason=f"steps are the ranges '{PROFILER_STEP}' of torch.profiler"
    )


def _names(tables: Whole | Store, sizes: Sizes) -> _Names | None:
    """None where the harness's own steps are there."""
    ids: set[int] = set()
    for rows in stretches(tables.ranges.rows, sizes.host_rows):
        ids.update(factorize(tables.ranges.one(rows, "name").astype(np.int64))[1].tolist())
    tables.forget()
    found = _Names(set(), {}, {}, set())
    for string_id in sorted(ids):
        name = tables.strings[string_id]
        if name.startswith("Step ") and DEFAULT_STEP.matches(name):
            return None
        if name.startswith("ProfilerStep#") and _PROFILER_STEP.match(name):
            found.profiler.add(string_id)
        elif engine := engine_of(name):
            found.engines[string_id] = engine
        elif (owner := whose(name)) is not Whose.LIBRARY:
            found.families[string_id] = family = glob_of(name)
            if owner is Whose.FRAMEWORK:
                found.frameworks.add(family)
    return found


def _often(tables: Whole | Store, sizes: Sizes, ids: set[int]) -> int:
    """How many ranges of these names the thread has that has most."""
    count: Counter[int] = Counter()
    wanted = np.array(sorted(ids), np.int64)
    for rows in stretches(tables.ranges.rows, sizes.host_rows):
        mine = np.isin(tables.ranges.one(rows, "name"), wanted)
        thread, times = np.unique(tables.ranges.one(rows, "thread")[mine], return_counts=True)
        count.update(dict(zip(thread.tolist(), times.tolist(), strict=True)))
    tables.forget()
    return max(count.values(), default=0)


def _of_engine(tables: Whole | Store, sizes: Sizes, ids: dict[int, Engine]) -> Chosen | None:
    """The steps of the engine that has most of them."""
    if not ids:
        return None
    count: Counter[tuple[int, str]] = Counter()
    engines = {id(engine): engine for engine in ids.values()}
    for rows in stretches(tables.ranges.rows, sizes.host_rows):
        place, distinct = factorize(tables.ranges.one(rows, "name").astype(np.int64))
        times = np.bincount(place, minlength=len(distinct)).tolist()
        for string_id, number in zip(distinct.tolist(), times, strict=True):
            engine = ids.get(string_id)
            kind = engine and kind_of(engine, tables.strings[string_id])
            if engine and kind:
                count[id(engine), kind.name] += number
    tables.forget()
    if not count:
        return None
    total: Counter[int] = Counter()
    for (which, _), number in count.items():
        total[which] += number
    engine = max(engines.values(), key=lambda one: (total[id(one)], one.begins.pattern))
    kinds = [kind for kind in engine.kinds if count[id(engine), kind.name]]
    said = " and ".join(
        f"'{kind.text}' ({count[id(engine), kind.name]}, {kind.name})" for kind in kinds
    )
    return Chosen(
        globs=tuple(kind.text for kind in kinds if kind.option == "--step"),
        regexes=tuple(kind.text for kind in kinds if kind.option == "--step-regex"),
        reason=f"steps are {engine.name}'s ranges {said}",
    )


def _of_family(tables: Whole | Store, sizes: Sizes, names: _Names) -> Chosen:
    if not names.families:
        return Chosen()
    found = families(tables, sizes, names.families)
    every = judged(found, held_by(tables, sizes, found) if found else None)
    own = [one for one in every if one.family.name not in names.frameworks]
    for some in (own, every):
        name = best(outermost(some))
        if name is not None:
            return _family(tables, names, name, sum(len(f) for f in found if f.name == name))
    return Chosen(reason=_why_none(own))


def _family(tables: Whole | Store, names: _Names, family: str, count: int) -> Chosen:
    own = family
    others = [tables.strings[one] for one, name in names.families.items() if name != own]
    short = _short(family)
    if not any(StepPattern.glob(short).matches(other) for other in others):
        family, glob = short, StepPattern.glob(short)
    else:
        glob = StepPattern.glob(family)
    reason = f"steps are the ranges '{family}' ({count}), the outermost that repeat"
    if any(glob.matches(other) for other in others):
        # `step *` would take `step 3 (warm-up)` too.
        like = tables.strings[next(one for one, name in names.families.items() if name == own)]
        regex = re.sub(r"\d+", lambda _: r"\d+", re.escape(like))
        return Chosen(regexes=(f"^{regex}$",), reason=reason)
    return Chosen(globs=(family,), reason=reason)


def _short(family: str) -> str:
    """The same wildcard as somebody can type it: a star for the end of a long one, and a question
    mark for what no terminal shows."""
    text = family if len(family) <= LONGEST else family[:LONGEST].rstrip("[]*") + "*"
    return "".join(one if one.isprintable() else "?" for one in text)


def _why_none(every: list[Judged]) -> str:
    """Of the family that comes nearest."""
    held = [one for one in every if one.held is None or one.held.own]
    if not held:
        return ""
    one = max(held, key=lambda one: (one.held.process if one.held else 0, len(one.family)))
    return f"'{one.family.name}' {one.why_not}"
