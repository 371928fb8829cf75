"""When a recording begins and ends, where the program itself does not say so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Then = Literal["go-on", "stop"]


@dataclass(frozen=True)
class Window:
    """What the launcher in the target's process goes by.

    `steps` are the half-open numbers of the step ranges to record, which `globs` and `regexes`
    name; both empty: the families that are known. `delay_s` counts from the program's start,
    `duration_s` from where the window opened. With none of them it is the first steady second.
    `then` says what becomes of the program afterwards; None: it goes on.
    """

    steps: tuple[int, int] | None = None
    globs: tuple[str, ...] = ()
    regexes: tuple[str, ...] = ()
    delay_s: float | None = None
    duration_s: float | None = None
    then: Then | None = None

    @property
    def asked(self) -> bool:
        """Does it say when? `then` and the names of steps alone do not."""
        return self.steps is not None or self.delay_s is not None or self.duration_s is not None

    @property
    def asked_time(self) -> bool:
        """Does it say so by the clock?"""
        return self.delay_s is not None or self.duration_s is not None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for the launcher."""
        return {
            "steps": list(self.steps) if self.steps else None,
            "globs": list(self.globs),
            "regexes": list(self.regexes),
            "delay_s": self.delay_s,
            "duration_s": self.duration_s,
            "then": self.then or "go-on",
        }

    def __str__(self) -> str:
        if self.steps is not None:
            return f"--steps {self.steps[0]}:{self.steps[1]}"
        said = [
            f"--{name} {value:g}"
            for name, value in (("delay", self.delay_s), ("duration", self.duration_s))
            if value is not None
        ]
        return " ".join(said) or "the first steady second"
