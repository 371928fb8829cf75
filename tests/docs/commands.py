"""Every command that the documentation prints: in blocks, in the README's table, in sentences."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from ..conftest import ROOT
from .pages import FENCE, pages

PROGRAMS = (
    "harness", "pip", "make", "python", "python3", "torchrun", "srun", "nsys",
    "apt-get", "sh", "pytest", "timeout", "QdstrmImporter",
)  # fmt: skip
_START = rf"(?:{'|'.join(PROGRAMS)})"
_NAMES = ("harness capture", "harness evidence")
"""In backticks, and no command: the names of an NVTX range and of a domain."""


@dataclass(frozen=True)
class Printed:
    """One command line, without its comment, and the pages that print it."""

    line: str
    pages: tuple[str, ...]
    whole: bool
    """As it would be typed; in a sentence it may be a part (`harness gaps --plot`)."""

    @property
    def words(self) -> list[str]:
        """As a shell splits them; what a pipe leads to is left out."""
        words = shlex.split(self.line)
        return words[: words.index("|")] if "|" in words else words


def printed() -> list[Printed]:
    """All of them, each once, in the order of the pages."""
    found: dict[str, tuple[list[str], bool]] = {}
    for page in pages():
        text = page.read_text("utf-8").replace("\\\n", " ")
        name = str(page.relative_to(ROOT))
        for line, whole in [*_in_blocks(text), *_in_sentences(text, name)]:
            pages_of, is_whole = found.setdefault(line, ([], whole))
            pages_of.append(name)
            found[line] = (pages_of, is_whole or whole)
    return [Printed(line, tuple(on), whole) for line, (on, whole) in found.items()]


def shown() -> list[tuple[str, str, str]]:
    """(page, command, output) of every block that shows what a command prints."""
    found = []
    for page in pages():
        for block in _blocks(page.read_text("utf-8")):
            for part in re.split(r"^(?=\$ )", block, flags=re.MULTILINE):
                if part.startswith("$ "):
                    command, _, output = part.replace("\\\n", " ")[2:].partition("\n")
                    found.append((str(page.relative_to(ROOT)), _tidy(command), output.rstrip()))
    return found


def _tidy(line: str) -> str:
    return " ".join(re.sub(r"\s+#.*$", "", line).split())


def _blocks(text: str) -> list[str]:
    """Fenced blocks that are no program's source, and indented ones without their indent."""
    fenced = [
        body for kind, _, body in FENCE.findall(text) if kind in ("", "text", "console", "sh")
    ]
    indented = re.findall(r"(?:^ {4}.*\n|^\n(?= {4}))+", FENCE.sub("", text), re.MULTILINE)
    return fenced + [re.sub(r"^ {4}", "", block, flags=re.MULTILINE) for block in indented]


def _typed(block: str) -> list[str]:
    """Its lines; of a block that shows output too, what is typed: the output may name commands."""
    lines = block.splitlines()
    return [line for line in lines if line.startswith("$ ")] or lines


def _in_blocks(text: str) -> list[tuple[str, bool]]:
    lines = [line for block in _blocks(text) for line in _typed(block)]
    found = (re.match(rf"\s*(?:\$ )?((?:{_START}|\.) .*)$", line) for line in lines)
    return [(_tidy(match[1]), True) for match in found if match]


def _in_sentences(text: str, page: str) -> list[tuple[str, bool]]:
    prose = FENCE.sub("", re.sub(r"^ {4}.*$", "", text, flags=re.MULTILINE))
    found = re.findall(rf"`({_START} [^`]*)`", prose)
    return [(_tidy(line), page == "README.md") for line in found if line not in _NAMES]
