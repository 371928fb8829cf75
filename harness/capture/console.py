"""Progress of a recording, as text lines."""

from __future__ import annotations

import contextlib
from typing import Any

from .. import talk
from ..analysis.model.remark import Warned


class Console:
    """Progress on a text stream: one line a stage, a sign of life every ten seconds.

    The target's own output goes to the same stream, as it comes.
    """

    EVERY_S = 10.0

    def __init__(self, stream: Any, title: str) -> None:
        self._stream = stream
        self._title = title
        self._stage = ""
        self._said_s = 0.0
        self._open_line = False

    def stage(self, text: str) -> None:
        """Announce a stage."""
        self._stage, self._said_s = text, 0.0
        if not talk.quiet():
            self._line(f"{self._title}: {text}")

    def note(self, text: str) -> None:
        """One fact, indented under the stage; with `-q` only what warns."""
        if not talk.quiet() or isinstance(text, Warned):
            self._line(f"  {text}")

    def output(self, text: str) -> None:
        """The target's own words, untouched."""
        self._write(text)
        self._open_line = not text.endswith("\n")

    def tick(self, elapsed_s: float) -> None:
        """Say that it still runs, every ten seconds."""
        if elapsed_s - self._said_s >= self.EVERY_S:
            self._said_s = elapsed_s
            if not talk.quiet():
                self._line(f"{self._title}: {self._stage}, {elapsed_s:.0f} s")

    def _line(self, text: str) -> None:
        self._write(("\n" if self._open_line else "") + text + "\n")
        self._open_line = False

    def _write(self, text: str) -> None:
        # A reader that went away must not take the recording with it.
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
            self._stream.flush()
