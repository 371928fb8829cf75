"""Gaps and steps as pandas frames: one row each, every duration in ns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..idle.attribute import Attribution
from ..idle.gaps import DeviceGaps, GapKind, gap_kinds
from ..model.flag_waits import FLAG
from ..model.intervals import Int64
from ..model.names import operation_names
from ..model.trace import Trace
from ..report import TraceReport

if TYPE_CHECKING:
    import pandas as pd

EDGE = "(edge of the window)"


def gaps_frame(report: TraceReport) -> pd.DataFrame:
    """One row a gap, by device and time.

    Columns: trace, strategy, origin, device, start_ns, end_ns, length_ns, kind, step (missing for
    gaps of no step), before and after (operations), drained_by, cause (the largest), and one
    `cause_NAME_ns` per cause, which sum to length_ns.
    """
    import pandas as pd

    parts = [
        _device_gaps(report, gaps, split)
        for gaps, split in zip(report.gaps, report.attributions, strict=True)
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _device_gaps(report: TraceReport, gaps: DeviceGaps, split: Attribution) -> pd.DataFrame:
    import pandas as pd

    trace = report.trace
    kind = np.full(len(gaps), GapKind.UNASSIGNED, np.int8)
    kind[gaps.boundary] = GapKind.BOUNDARY
    step = np.full(len(gaps), -1, np.int64)
    open_still = ~gaps.boundary
    for one in report.steps.series:
        # The first series that knows a gap names it, as `harness gaps --top` does.
        kind_of, step_of = gap_kinds(gaps, one)
        mine = open_still & (kind_of <= GapKind.INTRA)
        kind[mine] = kind_of[mine]
        step[mine] = one.number[step_of[mine]]
        open_still &= ~mine
    names = np.array([k.name.lower() for k in GapKind])
    causes = np.array([cause.name for cause in split.causes])
    frame = {
        **_origin(report, len(gaps)),
        "device": np.full(len(gaps), gaps.device.ordinal, np.int64),
        "start_ns": gaps.start,
        "end_ns": gaps.end,
        "length_ns": gaps.length,
        "kind": pd.Categorical(names[kind]),
        "step": _optional(step, kind <= GapKind.INTRA),
        "before": _named(trace, gaps.before),
        "after": _named(trace, gaps.after),
        "drained_by": _waits(trace, split.drained_by),
        "cause": pd.Categorical(causes[split.time.argmax(axis=0)]),
    }
    frame |= {
        f"cause_{name}_ns": row for name, row in zip(causes.tolist(), split.time, strict=True)
    }
    return pd.DataFrame(frame)


def steps_frame(report: TraceReport) -> pd.DataFrame:
    """One row a step of each series and device.

    Columns: trace, strategy, origin, device, pid, tid, pattern, step, start_ns and host_ns (the
    range), operations, gpu_start_ns (missing without any), gpu_ns, busy_ns, idle_ns (inter_ns +
    intra_ns), period_ns (missing for the last step), longest_gap_ns, steady (whether averages
    count it), and one `cause_NAME_ns` per cause, which sum to idle_ns.
    """
    import pandas as pd

    from ..report import positions
    from ..scenes.moments import figures_of

    parts = []
    for summary in report.series:
        position, _ = positions(report, summary)
        figures, table = figures_of(report, summary), summary.table
        gaps = report.gaps[position]
        length = np.append(gaps.length, 0)  # -1, no gap, finds the zero
        longest = length[figures.longest]
        n = len(table)
        frame = {
            **_origin(report, n),
            "device": np.full(n, gaps.device.ordinal, np.int64),
            "pid": np.full(n, summary.pid, np.int64),
            "tid": np.full(n, summary.tid, np.int64),
            "pattern": pd.Categorical([summary.pattern] * n),
            "step": table.number,
            "start_ns": table.start,
            "host_ns": table.host,
            "operations": table.operations,
            "gpu_start_ns": _optional(table.gpu_start, table.operations > 0),
            "gpu_ns": table.gpu_end - table.gpu_start,
            "busy_ns": table.busy,
            "idle_ns": table.idle,
            "inter_ns": table.inter,
            "intra_ns": table.intra,
            "period_ns": _optional(figures.period, figures.period >= 0),
            "longest_gap_ns": longest,
            "steady": figures.steady,
        }
        causes = [cause.name for cause in report.attributions[position].causes]
        frame |= {
            f"cause_{name}_ns": row for name, row in zip(causes, figures.by_cause, strict=True)
        }
        parts.append(pd.DataFrame(frame))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _origin(report: TraceReport, n: int) -> dict[str, object]:
    import pandas as pd

    source = report.trace.source
    values = {"trace": str(report.trace.path), "strategy": report.label, "origin": source.origin}
    # A byte of a name that is no UTF-8 is spelled out, `\udcff`: no column of text can hold it.
    told = {
        name: text.encode("utf-8", "backslashreplace").decode() for name, text in values.items()
    }
    return {name: pd.Categorical([text] * n) for name, text in told.items()}


def _optional(values: Int64, known: np.ndarray) -> object:
    import pandas as pd

    return pd.arrays.IntegerArray(np.where(known, values, 0), ~known)


def _named(trace: Trace, rows: Int64) -> object:
    import pandas as pd

    known = rows >= 0
    codes, names = operation_names(trace, rows[known])
    place = np.full(len(rows), len(names), np.int64)
    place[known] = codes
    return pd.Categorical(np.array([*names, EDGE], object)[place])


def _waits(trace: Trace, waits: Int64) -> object:
    import pandas as pd

    calls = trace.calls
    names = np.array([*calls.names, FLAG, ""], object)
    place = np.where(waits < -1, len(names) - 2, len(names) - 1)
    named = waits >= 0
    place[named] = calls.name[waits[named]]
    return pd.Categorical(names[place])
