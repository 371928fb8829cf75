"""What is asked of a trace: which steps, which stretch, which details. Every analysis takes it."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence

from msgspec import Struct

from .model.errors import UsageError

_MAX_NAME = 4096
"""Expressions see so many characters of a name, so that no hostile name can stall a regex."""


class BadStepPattern(UsageError):
    """The text after `--step-regex` is not a regular expression.

    It is one of Python's `re`, and has to be quoted for the shell.
    """

    code = "bad-step-pattern"


class StepPattern(Struct, frozen=True):
    """Which ranges are steps. `text` is what the user wrote."""

    text: str
    regex: re.Pattern[str]
    whole: bool = False
    """Match the name to its end, however long: for an expression whose time grows with the name
    alone, as a wildcard's does."""

    @classmethod
    def glob(cls, text: str) -> StepPattern:
        """`Step *`: shell wildcards, case counts, the whole name matches."""
        # `matches` searches, and a translated wildcard is only anchored at its end.
        return cls(text, re.compile(r"\A" + fnmatch.translate(text)), whole=True)

    @classmethod
    def of_regex(cls, text: str) -> StepPattern:
        """A regular expression found anywhere in the name; anchor it with ^ and $."""
        try:
            return cls(text, re.compile(text))
        except (re.error, OverflowError, RecursionError) as error:
            raise BadStepPattern(
                f"--step-regex {text!r} is not a regular expression ({error})"
            ) from error

    def matches(self, name: str) -> bool:
        return self.regex.search(name if self.whole else name[:_MAX_NAME]) is not None


DEFAULT_STEP = StepPattern(r"^Step \d+$", re.compile(r"^Step \d+$"))
"""The ranges that the harness's own targets push, and the article's."""


def patterns_of(globs: Sequence[str], regexes: Sequence[str]) -> tuple[StepPattern, ...]:
    """The step patterns asked for; none where each trace's own are to be chosen."""
    return (*map(StepPattern.glob, globs), *map(StepPattern.of_regex, regexes))


class AskedChange(Struct, frozen=True):
    """A change of a loop that is asked for by name, in the ranges that match `glob`: host time and
    waits are left out (`without`), host time takes `factor` of its time (`scale`), or it runs on
    another thread beside the step (`overlap`). Or a late rank, called `glob`, is on time, and the
    `shorter` collectives end sooner (`late-rank`)."""

    what: str
    glob: str = "*"
    factor: float = 0.0
    shorter: bytes = b""
    """Of collectives, the start and by how much shorter each is, ns: pairs of int64. As bytes,
    since questions are told apart by their text."""


class Question(Struct, frozen=True):
    """What is asked of one trace, or of each of many. Times in ns."""

    patterns: tuple[StepPattern, ...] = ()
    """Which ranges are steps. None: what the trace shows, see `idle.choose`."""
    steps: tuple[int | None, int | None] = (None, None)
    """Half-open range of step numbers; None is open."""
    start: int | None = None
    end: int | None = None
    """The window looked at; None means the operations' own extent."""
    capture: bool = False
    """From the start of collection to its end instead of first to last operation."""
    device: int | None = None
    """Ordinal of the one device wanted."""
    infer: bool = False
    """Find the steps from the repeating launches, whatever ranges there are."""
    label: str | None = None
    """What reports call the trace, where its manifest does not say."""
    path: str | None = None
    """What the user calls the file, where the analysed one is an export of it."""
    by: str | None = None
    """What the figures are broken down by: step, cause, strategy, stream or rank."""
    top: int = 0
    """Longest gaps wanted of each device."""
    definitions: bool = False
    """The idle time by other definitions too."""
    all_tables: bool = False
    """Every table is shown, not the one that the answer goes with."""
    gains: bool = True
    """What each change would win is wanted: the loop is replayed."""
    changes: tuple[AskedChange, ...] = ()
    """Changes to play, besides those that every analysis plays."""
    comm: tuple[str, ...] = ()
    """Wildcards of kernels that are collectives, besides those that are known."""
    as_recorded: bool = False
    """The trace as its recorder made it, though its manifest proves what it is without."""

    @property
    def streams(self) -> bool:
        """Whether each stream's own figures are wanted."""
        return self.by == "stream"

    @property
    def narrowed(self) -> bool:
        """Whether only some steps are looked at, or another stretch than all operations'."""
        return self.cut or self.capture

    @property
    def cut(self) -> bool:
        """Whether a part of the trace may be left out."""
        return (self.steps, self.start, self.end) != ((None, None), None, None)

    def typed(self) -> tuple[str, ...]:
        """The options that say which part of a trace is meant, as they would be typed."""
        import shlex

        first, last = ("" if number is None else number for number in self.steps)
        return (
            *(["--infer-steps"] if self.infer else []),
            *(
                f"--step{'' if one.whole else '-regex'} {shlex.quote(one.text)}"
                for one in self.patterns
            ),
            *([f"--device {self.device}"] if self.device is not None else []),
            *([f"--steps {first}:{last}"] if self.steps != (None, None) else []),
            *([f"--start {self.start}ns"] if self.start is not None else []),
            *([f"--end {self.end}ns"] if self.end is not None else []),
            *(["--window capture"] if self.capture else []),
            *(f"--comm {shlex.quote(glob)}" for glob in self.comm),
            *(["--as-recorded"] if self.as_recorded else []),
        )
