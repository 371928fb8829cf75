"""After the window: short blocks of steps, with the recorder and without it, in turns.

A host's speed changes by a factor of two within seconds, so what the recorder adds to a step can
only be seen beside a step without it. Without it means that CUPTI was let go of: once it has
recorded, steps stay longer until then.
"""

from __future__ import annotations

import math
import sys
import threading
import time

from .step_names import family, matcher

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, Protocol

    class Session(Protocol):
        """Records a stretch besides the window."""

        def open_block(self) -> None: ...
        def close_block(self) -> dict[str, int]: ...

    class Launcher(Protocol):
        """What the blocks ask and tell."""

        session: Session

        def capturing(self) -> bool: ...
        def blocks_over(self) -> None: ...


SETTLE = 2
"""Steps after each change that are not timed."""
STEPS, LEAST = 4, 3
"""Steps of a block; fewer where they are long. Many short blocks make a noisy host harmless."""
BLOCK_NS = 50_000_000
"""A block is not longer than this unless its least steps are."""
PAIRS, FEWEST = 48, 12
"""Recorded blocks, each between two without; fewer where they agree."""
AGREE = 0.005
"""Standard error of the ratio of steps with and without at which they do."""
GOES_ON = 10
"""So many times the time that may be added the blocks may take in a program that goes on anyway."""


class Blocks:
    """Told of every range that begins. `rows` are the blocks, in order of time.

    `done` are the ranges of the window, of which the step is chosen; `globs` and `regexes` in
    `config` name it where the user did. `most_ns` is what the recorder may add to the program's
    time; where the program goes on for the blocks' sake alone (`waited_for`), it is all that they
    may take.
    """

    def __init__(
        self,
        launcher: Launcher,
        done: list[Any],
        config: Mapping[str, Any],
        most_ns: int,
        *,
        waited_for: bool = False,
    ) -> None:
        self._launcher = launcher
        self._session = launcher.session
        self._done = done
        self._kept = len(done)
        self._added_most_ns = most_ns
        self._most_ns = most_ns if waited_for else GOES_ON * most_ns
        self._step = _step_of(done, config)
        # Cheap to ask of each range of the program, recorded or not.
        self._prefix = self._step[0].partition("#")[0] if self._step else ""
        self._begun_ns = time.monotonic_ns()
        self._added_ns = 0
        self._steps = STEPS
        self._thread: int | None = None
        self._number: int | None = None
        self._recorded = False
        self._edges = 0
        self._first: Any = None
        self._events: list[tuple[dict[str, Any], Any, Any]] = []
        self.rows: list[dict[str, Any]] = []
        self.reason: str | None = None
        self.finished = False
        if self._step is None:
            self._end("no range repeats in the window: nothing says where a step begins")

    def begins(self, name: str, domain: str | None) -> None:
        """A range begins on this thread; called before it does."""
        if self.finished or self._step is None or not name.startswith(self._prefix):
            return
        if self._step[0] != family(name):
            return
        thread = threading.get_ident()
        if self._thread is None:
            self._thread = thread
        if thread != self._thread:
            return
        try:
            self._edge(self._step[1](name))
        except Exception as error:  # the program must not suffer
            self._end(f"{type(error).__name__}: {error}".splitlines()[0])

    def _edge(self, number: int | None) -> None:
        before, self._number = self._number, number
        if self._launcher.capturing():  # a change would break the capture
            self._edges = 0
            return
        if self._edges == 0 or (number is not None and before is not None and number != before + 1):
            self._edges = 1  # the loop begins, or begins again
            return
        self._edges += 1
        if self._edges == SETTLE + 1:
            self._first = time.perf_counter_ns(), _event()
        elif self._edges == SETTLE + 1 + LEAST:
            each = (time.perf_counter_ns() - self._first[0]) / LEAST
            self._steps = max(LEAST, min(STEPS, int(BLOCK_NS / max(each, 1))))
        if self._edges == SETTLE + 1 + self._steps:
            self._finish_block()

    def _finish_block(self) -> None:
        now, event = time.perf_counter_ns(), _event()
        start, first = self._first
        row = {
            "recorded": self._recorded,
            "at_ns": time.time_ns() - (now - start),
            "steps": self._steps,
            "host_ns": now - start,
        }
        self.rows.append(row)
        self._events.append((row, first, event))
        if self._recorded:
            row["records"] = self._session.close_block()
            del self._done[self._kept :]
            row["close_ns"] = time.perf_counter_ns() - now
            per_step = now - start - self.rows[-2]["host_ns"] * self._steps / self.rows[-2]["steps"]
            self._added_ns += int(max(0, per_step)) + row["close_ns"]
        elif self._enough():
            self._end(None)
            return
        else:
            self._session.open_block()
            row["open_ns"] = time.perf_counter_ns() - now
            self._added_ns += row["open_ns"]
        self._recorded = not self._recorded
        self._edges = 1

    def _enough(self) -> bool:
        return (
            len(self.rows) > 2 * PAIRS
            or self._added_ns > self._added_most_ns
            or self.late
            or (len(self.rows) > 2 * FEWEST and self._error() < AGREE)
        )

    def _error(self) -> float:
        """About the standard error of the ratio of steps with the recorder and without."""
        step = [row["host_ns"] / row["steps"] for row in self.rows]
        ratios = sorted(
            2 * step[k] / (step[k - 1] + step[k + 1]) for k in range(1, len(step) - 1, 2)
        )
        middle = ratios[len(ratios) // 2]
        off = sorted(abs(ratio - middle) for ratio in ratios)
        error: float = 1.86 * off[len(off) // 2] / middle / math.sqrt(len(ratios))
        return error

    @property
    def late(self) -> bool:
        """Has it taken too long? Then nobody waits for the rest."""
        return time.monotonic_ns() - self._begun_ns > self._most_ns

    def finish(self) -> None:
        """The program ends, or nobody waits any longer: what there is counts."""
        if not self.finished:
            if self._recorded:
                self._session.close_block()
            self._end(None)

    def _end(self, reason: str | None) -> None:
        self.finished = True
        self.reason = reason
        del self._done[self._kept :]
        self._read_events()
        self._launcher.blocks_over()

    def _read_events(self) -> None:
        """What the GPU's clock says of each block: a host may run ahead of its GPU."""
        torch: Any = sys.modules.get("torch")
        events, self._events = self._events, []
        if not events or any(first is None for _, first, _ in events):
            return
        try:
            torch.cuda.synchronize()
            for row, first, last in events:
                row["gpu_ns"] = round(first.elapsed_time(last) * 1e6)
        except Exception:
            for row, _, _ in events:
                row.pop("gpu_ns", None)

    def describe(self) -> dict[str, Any]:
        """Facts for host.json."""
        recorded = sum(row["recorded"] for row in self.rows)
        reason = self.reason
        if reason is None and not recorded:
            reason = "the program made no more steps after its window"
        return {"reason": reason, "blocks": self.rows}


def _step_of(
    done: Sequence[Any], config: Mapping[str, Any]
) -> tuple[str, Callable[[str], int | None]] | None:
    """The family of ranges that are steps, and what gives the number of one; None without any.

    What the user named, else what is named as steps are, numbered first; else what stands in no
    other range. Of several families that which repeats most.
    """
    match = matcher(config.get("globs", ()), config.get("regexes", ()))
    counts: dict[tuple[int, str], int] = {}
    ends: dict[Any, int] = {}
    for name, domain, start, end, thread, *_ in sorted(done, key=lambda row: (row[2], -row[3])):
        found = match(name)
        rank = 2
        if found is not None:
            rank = 0 if found[0] is not None else 1
        elif start < ends.get((thread, domain), 0):
            continue  # inside another
        if rank == 2:
            ends[thread, domain] = end
        counts[rank, family(name)] = counts.get((rank, family(name)), 0) + 1
    repeated = [(rank, -count, kind) for (rank, kind), count in counts.items() if count >= LEAST]
    if not repeated:
        return None
    rank, _, kind = min(repeated)

    def number(name: str) -> int | None:
        found = match(name)
        return found[0] if found and rank == 0 else None

    return kind, number


def _event() -> Any:
    """An event on the thread's stream, now; None without PyTorch on CUDA."""
    torch: Any = sys.modules.get("torch")
    if getattr(getattr(torch, "cuda", None), "Event", None) is None:
        return None
    if not torch.cuda.is_initialized():
        return None
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event
