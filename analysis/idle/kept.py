"""What is kept beside the columns of a store: facts of all rows, and what steps launched."""

from __future__ import annotations

import contextlib
from pathlib import Path

from msgspec.structs import replace

from ..model.trace import Trace
from ..question import Question, StepPattern
from ..store.codec import decode, encode
from ..store.errors import StoreError
from ..store.folder import read_checked, write_checked
from ..store.opened import Store
from ..store.whole import Whole
from .census import ProcessCount
from .choose.choice import Chosen, choose
from .counts import Counted, Facts, facts_of
from .launched import Extent, Launched, Launches, find_launches
from .owners import StoredSteps, WholeSteps, matching_rows, stored_homes
from .parts import StoredParts, WholeParts
from .physics.call_ids import CallsLost, calls_lost
from .physics.laws import RECORDS
from .sizes import Progress, Sizes, quiet
from .steps import Steps, homes_of

FACTS, CHOICE = "facts.bin", "choice.bin"
_CLASSES = (Launches, Launched, Extent, CallsLost)


def known_facts(store: Store, sizes: Sizes, progress: Progress) -> Facts:
    """What the store has counted, counted now where it has not."""
    path = store.folder / FACTS
    try:
        found: Facts = decode(read_checked(path), (Facts, Counted, ProcessCount, *RECORDS))
    except StoreError:
        found = facts_of(store, sizes, progress)
        _keep(path, found)
    return found


def known_steps(
    store: Store, patterns: tuple[StepPattern, ...], sizes: Sizes, progress: Progress
) -> tuple[StoredSteps, Launches, CallsLost]:
    """The steps, what they launched in the whole trace, and how many of their calls are lost: found
    now where the store has not kept that."""
    path = store.folder / _steps_file(patterns)
    try:
        matched, homes, walked, lost = decode(read_checked(path), _CLASSES)
        return StoredSteps(store, patterns, matched, homes), walked, lost
    except StoreError:
        names = store.ranges["name"]
        store.ranges.bytes_read += names.nbytes
        matched = matching_rows(names, store.strings, patterns, sizes.host_rows)
        homes = stored_homes(store, matched, sizes.operations)
        steps = StoredSteps(store, patterns, matched, homes)
        walked = find_launches(StoredParts(store, steps, sizes, progress))
        lost = calls_lost(store, steps.steps.series, sizes)
        _keep(path, (matched, homes, walked, lost))
        return steps, walked, lost


def known_choice(store: Store, sizes: Sizes) -> Chosen:
    """The steps of a store where nobody named them, chosen now where that is not kept."""
    path = store.folder / CHOICE
    try:
        found: Chosen = decode(read_checked(path), (Chosen,))
    except StoreError:
        found = choose(store, sizes)
        _keep(path, found)
    return found


def keep_whole(
    folder: Path, trace: Trace, steps: Steps, question: Question, chosen: Chosen | None
) -> None:
    """Beside a store, what its first analysis in memory found out about all of its rows.

    `steps`: those of the report, kept only where nothing narrowed them, and `chosen`, where they
    were not asked for.
    """
    if question.infer:
        return
    sizes = Sizes.all(trace)
    write_checked(folder / FACTS, encode(facts_of(Whole(trace), sizes, quiet)))
    if chosen is not None:
        write_checked(folder / CHOICE, encode(replace(chosen, repeats=False, loop="")))
        if not chosen.ranges:
            return
    if (question.steps, question.start, question.end) == ((None, None), None, None):
        patterns = chosen.patterns if chosen else question.patterns
        matched = matching_rows(trace.ranges.name, trace.strings, patterns, sizes.host_rows)
        walked = find_launches(WholeParts(trace, WholeSteps(steps)))
        lost = calls_lost(Whole(trace), steps.series, sizes)
        kept = (matched, homes_of(trace), walked, lost)
        write_checked(folder / _steps_file(patterns), encode(kept))


def _steps_file(patterns: tuple[StepPattern, ...]) -> str:
    """Where a store keeps what the steps of these patterns launched."""
    import hashlib

    texts = tuple(pattern.regex.pattern for pattern in patterns)
    return f"steps-{hashlib.sha256(repr(texts).encode()).hexdigest()[:16]}.bin"


def _keep(path: Path, value: object) -> None:
    """Beside the columns, where there is room and permission; else it is found again next time."""
    with contextlib.suppress(OSError):
        write_checked(path, encode(value))
