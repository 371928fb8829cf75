"""What is said although nothing failed."""

from __future__ import annotations


class Remark(str):
    """A line of text with a code, as errors have: its subclasses' docstrings explain it.

    A warning doubts figures, and is printed with its code (`line`); a note tells a fact.
    """

    __slots__ = ()

    code = ""
    kind = "note"

    @property
    def line(self) -> str:
        """What is printed of a warning: the text, and the code to ask `harness explain` for."""
        return f"{self} [{self.code}]"


class Warned(Remark):
    """A remark that doubts figures or misses something."""

    __slots__ = ()

    kind = "warning"
