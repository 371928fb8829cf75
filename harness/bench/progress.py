"""What a waiting person sees on standard error: one changing line, or now and then a new one."""

from __future__ import annotations

import contextlib
import time
from typing import Any

from .. import talk


class Progress:
    """Progress of a session. On a terminal one line is redrawn; elsewhere a line a round, and a
    sign of life every `EVERY_S` seconds."""

    EVERY_S = 20.0

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._live = not talk.quiet() and bool(getattr(stream, "isatty", lambda: False)())
        self._said_s = 0.0
        self._open = False

    def say(self, text: str, *, failed: bool = False) -> None:
        """A line that stays; with `-q`, only of what failed."""
        if talk.quiet() and not failed:
            return
        self._write(("\r\x1b[K" if self._open else "") + f"harness bench: {text}\n")
        self._open = False
        self._said_s = time.monotonic()

    def show(self, text: str) -> None:
        """Where things stand; may be overwritten, or left out."""
        if self._live:
            self._write(f"\r\x1b[Kharness bench: {text}"[:200])
            self._open = True
        elif time.monotonic() - self._said_s >= self.EVERY_S:
            self.say(text)

    def clear(self) -> None:
        """Remove the changing line."""
        if self._open:
            self._write("\r\x1b[K")
            self._open = False

    def _write(self, text: str) -> None:
        # A reader that went away must not end a session.
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
            self._stream.flush()
