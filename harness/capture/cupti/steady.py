"""Has the program's work settled? Two clocks that say so, one by its steps, one by its launches."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

NS: Final = 10**9

FIRST_PERIODS: Final = 2
"""Step times that are not looked at: what is loaded and compiled late falls into them."""
PERIODS: Final = 3
AGREE: Final = 1.10
"""So many step times in a row differ by no more than this ratio."""
STEPS_CAP_NS: Final = 20 * NS
"""So long after the first step it is recorded whether they agree or not."""

BIN_NS: Final = NS // 4
BINS: Final = 4
BINS_AGREE: Final = 1.25
"""So many stretches in a row have launches that differ by no more than this ratio."""
SCALES: Final = (1, 2, 4, 8)
"""Bins that make a stretch: what takes half a second for a step is steady by longer ones."""
LAUNCHES_CAP_NS: Final = 30 * NS
"""So long after the first launch it is recorded whether they agree or not."""
BLIND_NS: Final = 3 * NS
"""Where launches cannot be counted: so long after CUDA's first use."""


class StepClock:
    """Told when each step begins; `steady` once the last step times agree, or it took too long."""

    def __init__(self) -> None:
        self.count = 0
        self.first_ns = 0
        self._last_ns = 0
        self._periods: list[int] = []
        self.capped = False

    def begins(self, now_ns: int) -> None:
        """A step begins; `now_ns` is any clock that runs evenly."""
        if self.count == 0:
            self.first_ns = now_ns
        else:
            self._periods.append(now_ns - self._last_ns)
            if self.count <= FIRST_PERIODS:
                self._periods.clear()  # what is loaded and compiled late is in them
            del self._periods[:-PERIODS]
        self.count += 1
        self._last_ns = now_ns

    def quiet_ns(self, now_ns: int) -> int:
        """For how long no step has begun, less three of the last step times."""
        return now_ns - self._last_ns - 3 * max(self._periods, default=0)

    @property
    def steady(self) -> bool:
        """May the recording begin before the step that was told last?"""
        if len(self._periods) == PERIODS and max(self._periods) <= AGREE * min(self._periods):
            return True
        self.capped = self.count > 1 and self._last_ns - self.first_ns >= STEPS_CAP_NS
        return self.capped


class LaunchClock:
    """Told how many launches there were so far; `steady` once their rate has settled.

    `seen_s` is the time that it was seen to be steady, in seconds: what is worth recording.
    """

    def __init__(self) -> None:
        self.first_ns: int | None = None
        self.total = 0
        self._begun: tuple[int, int] | None = None
        self._bins: list[float] = []
        self.capped = False
        self.seen_s = 1.0

    def count(self, now_ns: int, total: int) -> None:
        """`total` launches until now; call it a few times a second."""
        if self._begun is None:
            self._begun = (now_ns, total)
            if total:
                self.first_ns, self.total = now_ns, total
            return
        if total > self.total and self.first_ns is None:
            self.first_ns = now_ns
        self.total = total
        begun_ns, before = self._begun
        if now_ns - begun_ns >= BIN_NS:
            self._bins.append((total - before) / (now_ns - begun_ns))
            del self._bins[: -BINS * SCALES[-1]]
            self._begun = (now_ns, total)

    def steady(self, now_ns: int) -> bool:
        """Has the rate settled, or did it take too long?"""
        if self.first_ns is None:
            return False
        self.capped = now_ns - self.first_ns >= LAUNCHES_CAP_NS
        for scale in SCALES:
            self.seen_s = scale * BINS * BIN_NS / NS
            bins = self._bins[-BINS * scale :]
            if len(bins) < BINS * scale:
                break
            rates = [sum(bins[at : at + scale]) for at in range(0, len(bins), scale)]
            if 0 < max(rates) <= BINS_AGREE * min(rates):
                self.capped = False
                return True
        return self.capped
