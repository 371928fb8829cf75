"""The errors that the analysis raises on purpose."""

from __future__ import annotations


class TraceError(Exception):
    """A trace cannot be read or believed: what failed, what was found, how to mend it.

    `str(error)` is one line without control characters, fit for a terminal.
    """

    exit_code = 1

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        text = message if remedy is None else f"{message}; {remedy}"
        super().__init__(
            "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
        )
        self.message = message
        self.remedy = remedy


class UsageError(TraceError):
    """The command line asks for something that makes no sense; exit code 2."""

    exit_code = 2
