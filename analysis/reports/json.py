"""JSON with every figure, raw nanoseconds; documented in docs/json.md."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from msgspec import to_builtins

from ..answer.choose import choose, kind_of
from ..answer.compose import Answer, answer_of
from ..answer.of_gains import change_text
from ..answer.sentence import plain_text
from ..gains.of_series import SeriesGains
from ..idle.figures import SeriesSummary
from ..report import TraceReport
from .base import Report, Reporter, Table, Terminal
from .tables import by_cause, by_rank, by_stream, definitions, pooled, steps, top_gaps
from .tables.bare import bare
from .tables.calibrated import calibration
from .tables.place import believed
from .tables.processes import processes
from .tables.ranks import jobs_of

if TYPE_CHECKING:
    from ..ranks.stragglers import JobRanks

SCHEMA_VERSION = 2
"""Raised when a name changes its meaning or goes away; new names do not raise it."""


def render(report: Report, terminal: Terminal) -> str:
    """One document."""
    del terminal
    return printable(
        json.dumps(document(report), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    )


def printable(text: str) -> str:
    """JSON text for any terminal: what it would obey instead of showing is escaped, not lost."""
    if text.replace("\n", "").isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


def document(report: Report) -> dict[str, Any]:
    """The document as plain data."""
    question = report.question
    result: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "harness", "version": report.tool_version},
        "traces": [_trace(trace, question.typed()) for trace in report.traces],
        "strategies": _rows(pooled(report)),
        "calibration": _rows(calibration(report)),
        "failed": [{"path": one.path, "error": one.error} for one in report.failures],
    }
    if question.by == "step":
        result["by_step"] = _rows(steps(report, question.top))
    if question.by == "cause":
        result["by_cause"] = _rows(by_cause(report))
    if question.by == "stream":
        result["by_stream"] = _rows(by_stream(report))
    if question.by == "rank":
        result["by_rank"] = _rows(by_rank(report))
        result["stragglers"] = [_job(job) for job in jobs_of(report)]
    if question.top:
        result["top_gaps"] = _rows(top_gaps(report, question.top))
    if question.definitions:
        result["definitions"] = _rows(definitions(report))
    return result


def _rows(table: Table) -> list[dict[str, Any]]:
    names = [column.name for column in table.columns]
    return [dict(zip(names, row, strict=True)) for row in table.rows]


def _trace(report: TraceReport, typed: tuple[str, ...]) -> dict[str, Any]:
    trace = report.trace
    source = trace.source
    valid, split = believed(report), believed(report, "causes")
    devices = []
    for gaps, figures in zip(report.gaps, report.devices, strict=True):
        known = to_builtins(figures)
        if not valid:
            known = {k: v for k, v in known.items() if k.startswith("window") or k == "operations"}
        elif not split:
            known |= dict.fromkeys(_SPLIT)
        devices.append(
            {
                "device": gaps.device.ordinal,
                "name": gaps.device.name,
                "uuid": gaps.device.uuid,
                "gap_count": figures.gap_count if valid else None,
                **known,
            }
        )
    return {
        "path": report.path,
        "label": report.label,
        "strategy": source.strategy or None,
        "origin": source.origin,
        "producer": source.producer,
        "producer_version": source.version,
        "schema": source.schema,
        "calibration": source.manifest.get("calibration"),
        "bare": next(iter(_rows(bare(Report((report,)))))) if report.bare else None,
        "as_recorded": report.as_recorded or None,
        "estimate": to_builtins(report.estimate),
        "answer": _answer(answer_of(report, typed)),
        "gains": [_gains(report, one) for one in report.gains] if split else [],
        "chosen": to_builtins(report.chosen),
        "verdicts": [to_builtins(verdict) for verdict in report.verdicts],
        "devices": devices,
        "all_devices": {
            "window_ns": report.all_window_ns,
            "idle_ns": report.all_idle_ns if valid else None,
        },
        "series": [
            _series(report, one, trace.devices[one.device].ordinal, valid) for one in report.series
        ],
        "host_series": [to_builtins(host) for host in report.host],
        "processes": [
            {name: value for name, value in row.items() if name not in ("strategy", "trace")}
            for row in _rows(processes([report]))
        ],
        "unassigned_operations": report.steps.unassigned,
        "ambiguous_operations": report.steps.ambiguous,
        "duplicate_api_rows": trace.duplicate_calls,
        "rows_dropped": to_builtins(trace.dropped),
        "ranges_dropped": to_builtins(trace.ranges_dropped),
        "calls_unusable": to_builtins(trace.calls_unusable),
    }


def _answer(answer: Answer) -> dict[str, Any]:
    return {
        "kind": answer.kind,
        "text": [plain_text(one) for one in answer.sentences],
        "next": list(answer.commands),
    }


def _gains(report: TraceReport, one: SeriesGains) -> dict[str, Any]:
    """What each change would win of one series; `series` is its place in the list of series."""
    steady, ladder = report.series[one.series].steady, one.ladder
    chosen = choose(one, steady, causes_believed=True) if steady and ladder else None
    result: dict[str, Any] = {
        "series": one.series,
        "kind": chosen.kind.name if chosen else None,
        "reason": one.reason or None,
        "busy": to_builtins(one.busy),
        "stalls": to_builtins(one.stalls),
    }
    if ladder is not None:
        result |= to_builtins(ladder)
        result["rungs"] = [
            {"what": change_text(rung, ladder.rungs), "kind": kind_of(rung, ladder.rungs).name}
            | to_builtins(rung)
            for rung in ladder.rungs
        ]
    return result


def _job(job: JobRanks) -> dict[str, Any]:
    worst = job.straggler
    mostly = worst.mostly if worst else None
    return {
        "job": job.name,
        "pattern": job.pattern,
        "ranks": len(job.ranks),
        "steps": job.ranks[0].steps if job.ranks else 0,
        "steps_left_out": job.steps_left_out,
        "straggler": worst.rank if worst else None,
        "made_wait_ns": worst.made_wait_ns if worst else None,
        "extra_cause": mostly[0] if mostly else None,
        "extra_ns": mostly[1] if mostly else None,
        "on_time": to_builtins(job.on_time),
        "reason": job.reason or None,
        "notes": list(job.notes),
    }


_SPLIT = ("causes", "drained_by", "host_ranges", "handoffs")
"""What says nothing where the causes cannot be believed."""
_BY_CALLS = ("host_ns", "causes", "drained_by", "drained_share", "recoverable_ns")
"""What a steady state owes to the host's calls."""
_COUNTS = (
    "pattern", "pid", "tid", "thread_name", "device", "dead_steps", "never_closed", "turns",
    "by_time", "other_threads",
)  # fmt: skip
"""What holds of a series whatever its idle time is."""


def _kind(report: TraceReport, series: SeriesSummary) -> dict[str, str | None]:
    """The kind of a series' largest gain, and the word that `limiter` has for it: deprecated."""
    place = next(k for k, one in enumerate(report.series) if one is series)
    gains = next((one for one in report.gains if one.series == place), None)
    if gains is None or gains.ladder is None or not series.steady:
        return {"kind": None}
    if not believed(report, "causes", "steps"):
        return {"kind": None}
    kind = choose(gains, series.steady, causes_believed=True).kind
    return {"kind": kind.name, "limiter": kind.old_word}


def _series(report: TraceReport, series: SeriesSummary, device: int, valid: bool) -> dict[str, Any]:
    names = [name for name in series.__struct_fields__ if name != "table"]
    result: dict[str, Any] = {
        name: getattr(series, name) if valid or name in _COUNTS else None for name in names
    }
    for name in ("steady", "own_edges", "idle_per_step", "inter_per_step", "step_gpu"):
        if result[name] is not None:
            result[name] = to_builtins(result[name])
    if series.steady is not None and valid and not report.calls_believed:
        result["steady"] |= dict.fromkeys(_BY_CALLS)
        result["steady"]["limiter"] = report.limiter(series.steady)
    if series.steady is not None and valid:
        result["steady"] |= _kind(report, series)
    if result["own_edges"] is not None:
        hidden = _BY_CALLS if not report.calls_believed else ()
        result["own_edges"] |= dict.fromkeys((*hidden, "limiter", "recoverable_ns"))
    result["device"] = device
    result |= {
        name: list(getattr(series, name)) for name in ("dead_steps", "never_closed", "turns")
    }
    result["steps"] = len(series.table)
    return result


REPORTER = Reporter("json", (".json",), "every figure, ns, with a schema version", render)
