"""One side of a comparison from analysed traces: a subject per strategy, a run per trace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from msgspec.structs import replace

from ..idle.figures import DeviceSummary, SeriesSummary
from ..idle.per_step import periods_of
from ..report import TraceReport, positions
from ..statistics.interval import Float
from ..verdicts.judge import Level
from .samples import Sample, Side, Subject

# What a manifest says about how a trace came to be; what only names the recording is left out.
_TELLING = ("origin", "strategy", "choices", "workload", "seeds", "versions", "host", "git")
_CAPTURE = ("backend", "graph_trace", "tool_version")
BARE = "without its recorder"
"""The `timeline` of a trace whose figures are those without its recorder."""
_DEVICE = ("kind", "name", "type", "driver", "cuda", "capability", "threads", "tf32_matmul")


def trace_side(
    name: str, reports: Sequence[TraceReport], notes: Sequence[str] = (), *, windows: bool = True
) -> Side:
    """Traces of one strategy become runs of one subject.

    Per step, interior steps only: the period (`step`), `busy`, `idle`, and idle time by cause;
    traces without a GPU side give the host's period. The first and the idle time are gates, each
    as mean and as median: one stalled step must not hide a slower loop. Where there are no steps,
    the whole window of each GPU, unless `windows` is False. Figures that a trace's verdict calls
    invalid are left out.
    """
    runs: dict[tuple[str, str], dict[str, list[Float]]] = {}
    for report in reports:
        for place, figures in _of_report(report, windows):
            kept = runs.setdefault((report.label, place), {})
            for metric, values in figures.items():
                kept.setdefault(metric, []).append(values)
    made = [report.trace.source.origin for report in reports]
    repeats = set(made) == {"simulated"}
    subjects = tuple(
        Subject(f"{label} {place}".rstrip(), _samples(figures, repeats), label, place)
        for (label, place), figures in runs.items()
    )
    said = [f"{name}: {origin}" for origin in sorted(set(made)) if origin != "measured"]
    metadata = merged([_metadata(report) for report in reports])
    bare = {report.bare is not None for report in reports}
    if True in bare:
        metadata["timeline"] = BARE if len(bare) == 1 else "partly as recorded"
    return Side(name, metadata, subjects, (*said, *notes))


_PERIODS = ("step", "host step", "idle")
_SHARE = "idle share"


def _samples(figures: Mapping[str, Sequence[Float]], repeats: bool) -> dict[str, Sample]:
    """By metric; the medians stand below their means."""
    found = []
    steps = "step" in figures or "host step" in figures
    for metric, values in figures.items():
        gated = metric == _SHARE or (steps and metric in _PERIODS)
        # A GPU that is busy for less of its time may wait elsewhere: neither way is good.
        judged = gated or metric.startswith("idle: ")
        mean = Sample(
            metric, "%" if metric == _SHARE else "ns", tuple(values),
            better="lower" if judged else None, gate=gated, repeats=repeats,
        )  # fmt: skip
        found.append(mean)
        if gated and metric != _SHARE:
            found.append(replace(mean, metric=f"median {metric}", statistic="median"))
    return {sample.metric: sample for sample in found}


def _of_report(report: TraceReport, windows: bool) -> list[tuple[str, dict[str, Float]]]:
    """(place, figures) of each series on each GPU."""
    if not report.gaps:
        periods = [np.diff(one.start)[1:].astype(np.float64) for one in report.steps.series]
        places = _places([(one.pid, one.tid, one.pattern, 0) for one in report.host])
        return [
            (place, {"host step": period})
            for place, period in zip(places, periods, strict=True)
            if len(period)
        ]
    if report.level("device") is Level.INVALID:
        return []
    devices = report.trace.devices
    if windows and not any(one.steady for one in report.series):
        places = _places([(0, 0, "", devices[one.device.index].ordinal) for one in report.gaps])
        return [
            (place, _of_window(device))
            for place, device in zip(places, report.devices, strict=True)
        ]
    places = _places(
        [(one.pid, one.tid, one.pattern, devices[one.device].ordinal) for one in report.series]
    )
    return [
        (place, _of_series(report, one))
        for place, one in zip(places, report.series, strict=True)
        if one.steady is not None
    ]


def _of_window(device: DeviceSummary) -> dict[str, Float]:
    """A trace without steps: one value a figure, of its whole window."""
    found = {
        "window": device.window_ns,
        "window busy": device.busy_ns,
        "window idle": device.idle_ns,
    }
    share = 100 * device.idle_ns / device.window_ns if device.window_ns else 0.0
    return {name: np.array([ns], np.float64) for name, ns in {**found, _SHARE: share}.items()}


def _places(places: Sequence[tuple[int, int, str, int]]) -> list[str]:
    """A name for each (pid, tid, pattern, GPU) of a trace that other runs of it have too: ids of
    processes and threads change, their order does not. Empty where there is one.

    >>> _places([(70, 71, "Step *", 0), (70, 71, "Step *", 1)])
    ['(GPU 0)', '(GPU 1)']
    """
    threads = list(dict.fromkeys(place[:2] for place in places))
    patterns, devices = ({place[k] for place in places} for k in (2, 3))
    names = []
    for pid, tid, pattern, device in places:
        parts = [f"thread {threads.index((pid, tid)) + 1}"] if len(threads) > 1 else []
        parts += [pattern] if len(patterns) > 1 else []
        parts += [f"GPU {device}"] if len(devices) > 1 else []
        names.append(f"({', '.join(parts)})" if parts else "")
    return names


def _of_series(report: TraceReport, summary: SeriesSummary) -> dict[str, Float]:
    k, index = positions(report, summary)
    series = report.steps.series[index]
    split = report.attributions[k]
    periods = periods_of(report.trace, report.gaps[k], split, series)
    found = {
        "step": periods.period.astype(np.float64),
        "busy": periods.busy.astype(np.float64),
        "idle": periods.idle.astype(np.float64),
    }
    if report.level("causes") is not Level.INVALID:
        for cause, row in zip(split.causes, periods.by_cause, strict=True):
            found[f"idle: {cause.name}"] = row.astype(np.float64)
    return found


def _metadata(report: TraceReport) -> dict[str, Any]:
    manifest = report.trace.source.manifest
    found = {key: manifest[key] for key in _TELLING if manifest.get(key) is not None}
    for key, names in (("capture", _CAPTURE), ("device", _DEVICE)):
        inner = manifest.get(key)
        if isinstance(inner, Mapping):
            found[key] = {name: inner[name] for name in names if name in inner}
    if report.chosen is not None:
        found["steps"] = report.chosen.name
    gpus = [device.name for device in report.trace.devices if device.name]
    return {
        **found,
        "origin": report.trace.source.origin,
        "producer": f"{report.trace.source.producer} {report.trace.source.version}".strip(),
        "gpus": sorted(set(gpus)),
    }


def merged(many: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One mapping for several: what differs among them becomes a sorted list of the values.

    >>> merged([{"a": 1, "b": {"c": 2}}, {"a": 3, "b": {"c": 2}}])
    {'a': [1, 3], 'b': {'c': 2}}
    """
    found: dict[str, Any] = {}
    for key in dict.fromkeys(key for one in many for key in one):
        values = [one[key] for one in many if key in one]
        if all(isinstance(value, Mapping) for value in values):
            found[key] = merged(values)
            continue
        distinct = [value for k, value in enumerate(values) if value not in values[:k]]
        found[key] = distinct[0] if len(distinct) == 1 else sorted(distinct, key=str)
    return found
