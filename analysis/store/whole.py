"""A trace in memory, read as a store is: the same tables, of which nothing is copied."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from ..model.cuda_calls import host_waits
from ..model.flag_waits import FlagWaits
from ..model.intervals import Int64
from ..model.schema import MAX_TIME
from ..model.trace import Calls, Operations, Ranges, Trace
from .folder import Array
from .save import flags_of


class WholeTable:
    """The columns of one group. `rows` is how many there are."""

    def __init__(self, columns: Operations | Calls | Ranges, **more: Any) -> None:
        self.rows = len(columns)
        self._columns, self._more = columns, more

    def __getitem__(self, name: str) -> Array:
        found: Array = getattr(self._columns, name)
        return found

    @property
    def last_end(self) -> int:
        """As `Table.last_end`."""
        return int(self["end"].max(initial=-MAX_TIME))

    def one(self, rows: Int64 | slice, name: str) -> Array:
        """These rows of one column: for a slice, the trace's own."""
        return self[name][rows]

    def read(self, rows: Int64 | slice, *names: str) -> dict[str, Array]:
        """The same for some columns."""
        return {name: self.one(rows, name) for name in names}


class _Calls(WholeTable):
    def __init__(self, trace: Trace) -> None:
        super().__init__(trace.calls)
        self._trace = trace

    @cached_property
    def _flags(self) -> Array:
        return flags_of(self._trace)

    def __getitem__(self, name: str) -> Array:
        return self._flags if name == "flags" else super().__getitem__(name)


class Whole:
    """The tables of a trace."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.operations = WholeTable(trace.operations)
        self.calls = _Calls(trace)
        self.ranges = WholeTable(trace.ranges)
        self.synchronizations = trace.synchronizations
        self.names, self.strings = trace.calls.names, trace.strings
        self.processes, self.threads, self.source = trace.processes, trace.threads, trace.source
        self.dropped = trace.dropped

    def forget(self) -> None:
        """There is nothing that could be read again."""

    @cached_property
    def flag_waits(self) -> FlagWaits:
        """As of a store."""
        return host_waits(self.trace).flags
