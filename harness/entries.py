"""All that has a name and can be explained: words, errors, verdicts, idle causes, what a room adds.

`harness explain` and docs/troubleshooting.md are made from these entries. Nothing else imports this
module: it reads every room's table.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType

from .analysis.answer.kinds import kinds
from .analysis.gains.changes import changes
from .analysis.model.remark import Remark
from .errors import TraceError
from .glossary import Word, slug, word_of

KINDS = ("error", "verdict", "idle cause", "warning", "note", "word", "kind of gain", "change")


_CAUSES = "The [definitions](definitions.md#causes) say when it applies."


@dataclass(frozen=True)
class Entry:
    """One thing to explain. Texts are Markdown, with links relative to docs/.

    `title` is one sentence, `text` (perhaps empty) says why and what helps, `remedy` is what the
    error's line advises by default. `exit_code` is an error's, 0 where each has its own.
    """

    code: str
    kind: str
    title: str
    text: str = ""
    remedy: str | None = None
    exit_code: int | None = None


@dataclass(frozen=True)
class Room:
    """Entries that stand together: a section of the page. `modules` are below `harness`."""

    title: str
    modules: tuple[str, ...]

    def entries(self) -> list[Entry]:
        """The entries of its modules, in their order there."""
        found = (importlib.import_module(f".{name}", __package__) for name in self.modules)
        return [entry for module in found for entry in _entries(module)]


ROOMS = (
    Room("Verdicts", ("analysis.verdicts.codes",)),
    Room("Idle causes", ("analysis.idle.causes.table",)),
    Room("Recording", ("capture.errors", "capture.remarks", "nvtx")),
    Room("nsys", ("capture.nsys.errors",)),
    Room("CUPTI", ("capture.cupti.errors",)),
    Room("Reading", ("analysis.readers.errors",)),
    Room("Steps", ("analysis.idle.errors", "analysis.question")),
    Room("Options", ("errors.options",)),
    Room("Files", ("analysis.model.errors", "errors")),
    Room("Many and large traces", ("run.errors", "analysis.store.errors")),
    Room("Scrubbing", ("scrub.errors",)),
    Room("Exports", ("analysis.exports.errors",)),
    Room("GUI", ("errors.gui",)),
    Room("Models", ("decode.errors", "decode.remarks", "runtime.errors")),
    Room("Bench", ("bench.errors", "bench.remarks", "analysis.compare.remarks")),
    Room(
        "Simulation",
        (
            "analysis.gains.errors",
            "analysis.predict.remarks",
            "simgpu.errors",
            "simgpu.remarks",
        ),
    ),
    Room("Writing", ("analysis.writer.errors",)),
)


def kind_entries() -> list[Entry]:
    """What the largest gain of a loop may be about, as `harness gaps` names it."""
    return [
        Entry(one.name, "kind of gain", one.means, remedy=one.remedy.rstrip(".")) for one in kinds()
    ]


def change_entries() -> list[Entry]:
    """The changes that the ladder of gains tries, as their modules' docstrings say them."""
    found = []
    for change in changes():
        title, text = _told(importlib.import_module(change.offers.__module__))
        assumes = f"Taken for granted: {change.assumes}." if change.assumes else ""
        found.append(Entry(change.name, "change", title, " ".join(filter(None, (text, assumes)))))
    return found


def all_entries() -> dict[str, Entry]:
    """Code -> entry, room by room."""
    return {entry.code: entry for room in ROOMS for entry in room.entries()}


def entries_of(code: str) -> list[Entry]:
    """All that goes by this name: a cause, an error and a word may share one."""
    found = [entry for room in ROOMS for entry in room.entries() if entry.code == slug(code)]
    of_title = {slug(one.title): one.name for one in kinds()}
    name = of_title.get(slug(code), slug(code))  # sentences call a kind by its title
    found += [one for one in (*kind_entries(), *change_entries()) if one.code == name]
    return [*found, *map(word_entry, word_of(code))]


def word_entry(word: Word) -> Entry:
    """A word of the glossary."""
    first, _, rest = word.text.partition(". ")
    return Entry(word.code, "word", first.rstrip(".") + ".", rest)


def _entries(module: ModuleType) -> Iterator[Entry]:
    for code, told in getattr(module, "CODES", {}).items():
        yield Entry(code, "verdict", told.when, told.meaning)
    for cause in getattr(module, "CAUSES", ()):
        title = cause.meaning[0].upper() + cause.meaning[1:] + "."
        yield Entry(cause.name, "idle cause", title, _CAUSES, cause.remedy)
    for value in vars(module).values():
        if inspect.isclass(value) and value.__module__ == module.__name__:
            yield from _entry(value)


def _told(thing: type | ModuleType) -> tuple[str, str]:
    """The title and the text of a docstring."""
    title, _, text = inspect.cleandoc(thing.__doc__ or "").partition("\n\n")
    return " ".join(title.split()), re.sub(r"(?<!\n)\n(?!\n)", " ", text)


def _entry(kind: type) -> Iterator[Entry]:
    """What the docstring of an error or a remark says: a title, and the rest of it."""
    title, text = _told(kind)
    if issubclass(kind, TraceError) and kind.code:
        yield Entry(kind.code, "error", title, text, kind.remedy, kind.exit_code)
    elif issubclass(kind, Remark) and kind.code:
        yield Entry(kind.code, kind.kind, title, text)
