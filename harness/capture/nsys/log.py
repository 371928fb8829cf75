"""Tell nsys's own words from the target's: both arrive on the same pipe."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

# Whole lines that nsys prints in the versions seen (2022.4 to 2026.4).
_CHATTER = re.compile(
    r"(Capture range (started|ended) in the application\.|Generating '|Generated:\s*$"
    r"|Collecting data\.\.\.|Processing events\.\.\.|Saving temporary |Saved report file to "
    r"|Processing \[|Importing \[|Exporting \d+ events|\[\d/\d\] \["
    r"|Importer error status: |Unable to retrieve the importer version"
    r"|Failed to create '|Use `--force-overwrite true`"
    r"|The target application (terminated|returned non-zero)|Waiting for termination of "
    r"|Use the `--wait` option)"
)
_PROBLEM = re.compile(
    r"(Failed to |unrecognised option|Importer error|The --\S+ option |Illegal |Invalid "
    r"|FATAL ERROR|Error: |ERROR: |No space left|Substitution error|Message parsing failed)"
)
_THROWN = ("Dynamic exception type: ", "std::exception::what: ", "[")
"""How the lines begin that follow the first of an exception of nsys's own."""
_SETTING_UP = (("ProcessWaiter", "sem_open"), ("ClientProxy", "Local Endpoint is not available"))
"""Words of the exceptions that nsys 2022.4 throws when it looks for its helper too early."""
_LONGEST = 160
"""Characters of nsys's words that an error line repeats."""
_LOST_HELPER = (
    "Connection reset by peer", "End of file", "Broken pipe", "Connection refused",
)  # fmt: skip
"""What nsys 2022.4 prints, and nothing else, when its helper is gone before they have spoken: the
first two were seen, and the system has these words more for a connection that is lost."""
# A line that `take` would not simply hand back holds one of these. Searching a block for words is
# far cheaper than a look at each of its lines.
_TELLING = (
    "Capture range ", "Generating '", "Generated:", "Collecting data...", "Processing events...",
    "Saving temporary ", "Saved report file to ", "Processing [", "Importing [", "Exporting ",
    "] [", "Importer error", "Unable to retrieve ", "Failed to ", "Use `", "Use the `",
    "The target application ",
    "Waiting for termination of ", "unrecognised option", "The --", "Illegal ", "Invalid ",
    "FATAL ERROR", "Error: ", "ERROR: ", "No space left", "Substitution error", "usage: nsys ",
    "Unknown executable format", "Message parsing failed", "QuadD", *_LOST_HELPER,
)  # fmt: skip
_DIVERTED = re.compile(r"nsys-report-[0-9a-f]+\.(qdstrm|nsys-rep|sqlite)")


@dataclass
class NsysLog:
    """Reads what comes off the pipe, keeps nsys's messages, hands back the rest.

    `generated` are the paths that nsys says it wrote; `temporary` is where it said it gathers the
    recording meanwhile. `not_a_program`: it could not execute the target. `not_utf8`: it refused to
    hand on a command line or an output path that is no UTF-8. `thrown` holds the lines of an
    exception of nsys's own; `heard` says that there were lines that may be the target's, `chatted`
    that nsys spoke of its work; `range_opened` that it said so of its capture range.
    """

    generated: list[Path] = field(default_factory=list)
    temporary: Path | None = None
    usage_error: bool = False
    not_a_program: bool = False
    not_utf8: bool = False
    problems: list[str] = field(default_factory=list)
    thrown: list[str] = field(default_factory=list)
    heard: bool = False
    chatted: bool = False
    range_opened: bool = False
    _listing: bool = False
    _throwing: bool = False
    _lost_helper: str = ""

    def take_block(self, block: str) -> str:
        """What of these lines is the target's own; they are looked at one by one only where some
        may be nsys's, since a target may print gigabytes."""
        searched = not self._listing and not self._throwing
        if searched and not any(word in block for word in _TELLING):
            self.heard = self.heard or not block.isspace()
            return block
        pieces = re.split(r"(?<=[\r\n])", block)
        return "".join(own for piece in pieces if piece and (own := self.take(piece)) is not None)

    def take(self, piece: str) -> str | None:
        """The piece where it is the target's own, None where it is nsys's."""
        line = piece.strip()
        if _throws(line) or (self._throwing and line.startswith(_THROWN)):
            self._throwing = True
            self.thrown.append(line)
            return None
        self._throwing = False
        if line in _LOST_HELPER:
            self._lost_helper = line
        elif line:
            chatter = self._listing or _CHATTER.match(line) is not None
            self.chatted, self.heard = self.chatted or chatter, self.heard or not chatter
        if self._listing and line.startswith("/") and piece.startswith((" ", "\t")):
            self.generated.append(Path(line))
            return None
        self._listing = line == "Generated:"
        if line.startswith("usage: nsys "):
            self.usage_error = True
        if line.startswith("Unknown executable format"):
            self.not_a_program = True
        if line == "Message parsing failed.":
            self.not_utf8 = True
        if _PROBLEM.match(line) and len(self.problems) < 20:
            self.problems.append(line)
        if not _CHATTER.match(line):
            return piece
        if line.startswith("Capture range started"):
            self.range_opened = True
        if line.startswith("Generating '"):
            self.temporary = Path(line.split("'")[1])
        return None

    def failure(self) -> str | None:
        """Why nsys itself failed, in its own words; None where it does not say so."""
        if not self.thrown:
            return self._lost_helper or None if not self.heard else None
        known = dict(filter(None, map(_tag, self.thrown)))
        function = known.get("errinfo_api_function", "")
        if "tag_message" in known:
            said = known["tag_message"].rstrip(".")
        elif "tag_errno_text" in known:
            said = f"{function}: {known['tag_errno_text']}".removeprefix(": ")
        else:
            said = self.thrown[0]
        return said[:_LONGEST]

    def before_start(self) -> bool:
        """Whether nsys failed as it does while it sets up its helpers, before it starts the target,
        and nothing else was printed."""
        if self.heard or self.chatted:
            return False
        words = "\n".join(self.thrown)
        return any(all(word in words for word in words_of) for words_of in _SETTING_UP) or (
            bool(self._lost_helper) and not self.thrown
        )

    def diverted(self) -> Path | None:
        """The report that nsys put elsewhere because it could not write where it was told to."""
        for path in self.generated:
            if _DIVERTED.fullmatch(path.name) and path.is_file():
                return path
        return None

    def remove_temporary(self) -> None:
        """Delete what a killed nsys left in the temporary folder; nothing else is ever touched."""
        path = self.temporary
        if path is None or not _DIVERTED.fullmatch(path.name):
            return
        if path.parent == Path(tempfile.gettempdir()):
            path.unlink(missing_ok=True)


def _throws(line: str) -> bool:
    """Is it the first line of an exception of nsys's own? It names its sources (QuadD)."""
    source, throws, _ = line.partition(": Throw in function ")
    return bool(throws) and "QuadD" in source


def _tag(line: str) -> tuple[str, str] | None:
    """`[QuadDCommon::tag_errno_text*] = No such file` as (tag_errno_text, No such file)."""
    name, equals, value = line.partition("] = ")
    return (name.rpartition(":")[2].rstrip("*_"), value) if equals else None
