"""What stands at the end of the page: validity, how the traces were made, what words mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from ..idle.causes import causes
from ..model.text import plain
from ..report import TraceReport
from .base import Report

SHOWN = (
    "strategy", "choices", "workload", "capture", "device", "host", "versions", "seeds", "git",
    "rank", "started_at", "steps_recorded", "exit_code", "notes", "left_out",
)  # fmt: skip
"""Keys of a manifest that the page shows. Command lines and environments are not among them: they
may hold secrets, and a page is passed on."""
_NEVER = frozenset({"argv", "command", "environment", "env", "cwd"})
LONGEST, DEEPEST, MOST = 160, 4, 80


class Facts(Struct, frozen=True):
    """One trace: its file name and what is known of it."""

    name: str
    rows: tuple[tuple[str, str], ...]


class Judgement(Struct, frozen=True):
    """One verdict."""

    trace: str
    figures: str
    level: str
    code: str
    reason: str
    remedy: str


def validity(report: Report) -> list[Judgement]:
    """Every verdict of every trace, worst first; a trace without any is ok in all figures."""
    order = {"invalid": 0, "degraded": 1, "ok": 2}
    found = []
    for trace in report.traces:
        name = plain(trace.trace.path.name, 60)
        if not trace.verdicts:
            found.append(Judgement(name, "all", "ok", "", "nothing speaks against it", ""))
        found += [
            Judgement(name, v.figures, str(v.level), v.code, v.reason, v.remedy)
            for v in trace.verdicts
        ]
    return sorted(found, key=lambda j: order[j.level])


def metadata(report: Report) -> list[Facts]:
    """How each trace was made."""
    return [_facts(trace) for trace in report.traces]


def failures(report: Report) -> list[tuple[str, str]]:
    """Files that could not be analysed; folders are left out of their names."""
    found = []
    for failure in report.failures:
        name = failure.path.rpartition("/")[2]
        found.append((plain(name), plain(failure.error.replace(failure.path, name), 400)))
    return found


def _facts(report: TraceReport) -> Facts:
    trace = report.trace
    source = trace.source
    rows = [
        ("origin", source.origin),
        ("recorded by", f"{source.producer} {source.version}".strip()),
        ("export schema", source.schema or "not given"),
        ("GPU", "; ".join(d.label for d in trace.devices) or "none"),
        ("GPU operations", f"{len(trace.operations):,}"),
        ("CUDA calls", f"{len(trace.calls):,}"),
        ("NVTX ranges", f"{len(trace.ranges):,}"),
    ]
    if source.session_start_utc_ns is not None:
        rows.append(("started, UTC", _utc(source.session_start_utc_ns)))
    for key in SHOWN:
        if key in source.manifest:
            rows += _flat(key, source.manifest[key], 0)
    shown = tuple((plain(k, 60), plain(v, LONGEST)) for k, v in rows[:MOST])
    return Facts(plain(trace.path.name, 80), shown)


def _flat(key: str, value: Any, depth: int) -> Iterator[tuple[str, str]]:
    """Nested values as dotted keys; what is empty is left out."""
    if value is None or value in ("", [], {}):
        return
    if isinstance(value, Mapping) and depth < DEEPEST:
        for name, inner in value.items():
            if str(name).lower() not in _NEVER:
                yield from _flat(f"{key}.{name}", inner, depth + 1)
    elif isinstance(value, list) and all(isinstance(v, str | int | float) for v in value):
        yield key, ", ".join(map(str, value))
    elif isinstance(value, list) and depth < DEEPEST:
        for k, inner in enumerate(value):
            yield from _flat(f"{key}[{k}]", inner, depth + 1)
    else:
        yield key, _without_folder(str(value))


def _without_folder(value: str) -> str:
    """A path, such as a model's, as its last part: the folder is the owner's own business."""
    if value.startswith(("/", ".", "~")) or "\\" in value:
        return value.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return value


def _utc(ns: int) -> str:
    from datetime import UTC, datetime

    try:
        return datetime.fromtimestamp(ns // 10**9, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):
        return "not a time"


def glossary() -> list[tuple[str, str]]:
    """The words of the page; `docs/definitions.md` says them to the nanosecond."""
    words = [
        ("busy", "At least one kernel, copy, memset or CUDA graph runs on the GPU, on any stream."),
        ("idle", "The rest of the window: busy and idle add up to it, to the nanosecond."),
        ("step", "One turn of the loop: an NVTX range, and the GPU work launched inside it."),
        (
            "steady state",
            "All steps but the first and the last, which the edges of a recording distort.",
        ),
        ("step time", "From the moment the GPU fell quiet before a step to the same of the next."),
        ("gap", "A stretch of idle time without interruption. It belongs to the step after it."),
        (
            "cause",
            "What the GPU waited for, instant by instant: what the thread was doing that launched "
            "the next operation. Causes add up to the idle time.",
        ),
        (
            "drained by",
            "The synchronising call that let the GPU's queue run dry before a gap. Most of the "
            "idle time that it brings about is spent after it has returned.",
        ),
        ("host work", "What a step costs the host, less its time inside synchronising calls."),
        (
            "to win",
            "What the change that wins most would take off a step, by a replay of the recorded "
            "steps. What is within the replay's error is not shown.",
        ),
    ]
    return words + [(f"cause: {c.name}", f"{c.meaning}. Usually: {c.remedy}.") for c in causes()]
