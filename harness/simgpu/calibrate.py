"""`harness calibrate`: host and launch constants of a recorded machine, and how well they fit.

What a call takes, and how long work waits for its launch, a trace shows directly. What the host
computes per operation it shows only in sum: that is shared out over the operations that the same
workload is known to make, so it needs the recording's workload (its manifest, or --strategy).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import structs

from ..analysis.analyze import analyze
from ..analysis.gains.constants import Estimate, blocked_launches, measure
from ..analysis.gains.gpu import Gpu, find_gpu, load_gpu
from ..analysis.model.cuda_calls import STREAM_WAIT, synchronizing
from ..analysis.model.errors import TraceError
from ..analysis.model.polling import QUERY
from ..analysis.model.text import plain
from ..analysis.model.trace import Trace
from ..analysis.predict.figures import Looked, look, steady_of
from ..analysis.predict.program import Launch, Program, Spend, play
from ..analysis.predict.recorded import read_program
from ..analysis.predict.to_trace import recorded_place
from ..analysis.question import Question, StepPattern
from ..analysis.reports.base import Column, Table, Value
from ..decode.workload import Workload
from .costs import KERNEL, Op
from .errors import NoFileToCalibrate
from .remarks import OperationsUnknown
from .show import Outcome

_Key = tuple[str, str]

# Which calls each host constant is the median of.
_CALLS: dict[_Key, frozenset[str]] = {
    ("host", "event_record_ns"): frozenset(
        {"cudaEventRecord", "cudaEventRecordWithFlags", "cuEventRecord", "hipEventRecord"}
    ),
    ("host", "event_query_ns"): frozenset({"cudaEventQuery", "cuEventQuery", "hipEventQuery"}),
    ("host", "stream_wait_ns"): STREAM_WAIT,
    ("host", "malloc_ns"): frozenset({"cudaMalloc", "cuMemAlloc", "hipMalloc"}),
}
_COPIES = frozenset({"cudaMemcpyAsync", "cuMemcpyDtoHAsync", "cuMemcpyHtoDAsync", "hipMemcpyAsync"})
_GRAPHS = frozenset({"cudaGraphLaunch", "cuGraphLaunch", "hipGraphLaunch"})


@dataclass(frozen=True)
class Asked:
    """The command line of `harness calibrate`."""

    trace: str
    gpu: str | None = None
    workload: Workload | None = None
    name: str | None = None


@dataclass(frozen=True)
class Calibrated:
    """The fitted GPU, its report, and where each changed number is from."""

    gpu: Gpu
    outcome: Outcome


def calibrate(asked: Asked, progress: Callable[[str], None] = lambda _: None) -> Calibrated:
    """Fit a GPU file to a trace. Raises TraceError or HarnessError where that cannot be."""
    progress(f"reading {asked.trace}")
    report = analyze(asked.trace, Question())
    looked = look(report)
    base = _base(looked, asked)
    trace = report.trace
    recorded = read_program(trace, looked.series)
    fits: dict[_Key, Estimate] = {
        ("device", one.name): one for one in measure(trace).estimates if one.samples
    }
    fits |= _host_calls(trace)
    fits |= _graph_launches(trace, base)
    workload = asked.workload or _workload_of(looked)
    notes: list[str] = []
    fitted = _with(base, fits, looked, asked)
    if workload is None:
        notes.append(
            OperationsUnknown(
                "op_ns is kept: which operations were run is not known (no manifest beside the "
                "trace; name the workload with --strategy, --batch-size, ...)."
            )
        )
    else:
        progress(f"simulating {workload.strategy or 'the workload'} to count its operations")
        shared = _shared_out(recorded.program, workload, fitted)
        fits |= shared
        fitted = _with(base, fits, looked, asked)
    tables = [_constants_table(base, fits, looked, notes)]
    progress("checking the fit")
    tables.append(_fit_table(looked, recorded.program, fitted, workload))
    facts = (("trace", str(trace.path)), ("gpu_file", base.key))
    return Calibrated(fitted, Outcome("calibrate", tuple(tables), (), facts))


def _base(looked: Looked, asked: Asked) -> Gpu:
    """The GPU file whose rates and sizes are kept."""
    if asked.gpu:
        return load_gpu(asked.gpu)
    name = looked.report.trace.devices[looked.summary.device].name
    found = find_gpu(name)
    if found is None:
        raise NoFileToCalibrate(
            f"the trace was recorded on {name or 'an unnamed GPU'}, which no GPU file describes",
        )
    return found


def _workload_of(looked: Looked) -> Workload | None:
    """The workload that the manifest beside the trace tells of, if it is one of ours."""
    manifest = looked.report.trace.source.manifest
    told = manifest.get("workload")
    if not isinstance(told, dict) or "model" not in told:
        return None
    try:
        return replace(Workload.from_dict(told), strategy=manifest.get("strategy"), device="cpu")
    except (TraceError, TypeError, ValueError, AttributeError):  # a value of another kind
        return None


def _host_calls(trace: Trace) -> dict[_Key, Estimate]:
    calls, operations = trace.calls, trace.operations
    length = calls.end - calls.start
    waits = synchronizing(trace) & ~calls.named(QUERY)  # a poll's queries hold nobody one by one
    launches = np.zeros(len(calls), np.bool_)
    launches[operations.launch[operations.launch >= 0]] = True
    launches[blocked_launches(trace)] = False
    graphs, copies = calls.named(_GRAPHS), calls.named(_COPIES)
    found = {
        ("host", "launch_call_ns"): launches & ~waits & ~graphs & ~copies,
        ("host", "copy_call_ns"): launches & ~waits & copies,
    }
    found |= {key: calls.named(names) & ~waits for key, names in _CALLS.items()}
    return {key: Estimate.of(key[1], length[mask], 0) for key, mask in found.items() if mask.any()}


def _graph_launches(trace: Trace, base: Gpu) -> dict[_Key, Estimate]:
    """The part of a graph's launch that does not grow with its nodes."""
    calls, operations = trace.calls, trace.operations
    launches = np.flatnonzero(calls.named(_GRAPHS))
    if len(launches) == 0:
        return {}
    nodes = np.array([np.count_nonzero(operations.launch == row) for row in launches.tolist()])
    length = (calls.end - calls.start)[launches] - nodes * base.ns("host", "graph_node_ns")
    return {("host", "graph_launch_ns"): Estimate.of("graph_launch_ns", np.maximum(length, 0), 0)}


def _shared_out(program: Program, workload: Workload, fitted: Gpu) -> dict[_Key, Estimate]:
    """The host's own time per step over the operations that the workload makes in a step."""
    from .run import simulate

    spent = _spent_per_step(program)
    launched = [a for a in program.actions if isinstance(a, Launch)]
    graphed = any(action.graph is not None for action in launched)
    done = simulate(workload, fitted, values="auto")
    ops = done.runtime.sim.last_step
    compiled = done.result["choices"]["execution"] == "compile"
    if graphed or len(spent) == 0:
        return {}
    if compiled:
        per_step = len([a for a in launched if 0 < a.step < program.steps - 1]) / len(spent)
        share = (spent - fitted.ns("host", "compiled_entry_ns")) / per_step
        return {_compiled: Estimate.of("compiled_kernel_ns", np.maximum(share, 0), 0)}
    return _per_operation(spent, ops, fitted)


_compiled = ("host", "compiled_kernel_ns")


def _spent_per_step(program: Program) -> np.ndarray[Any, Any]:
    """Time that the host computes in each interior step, ns."""
    total = np.zeros(program.steps, np.int64)
    for action in program.actions:
        if isinstance(action, Spend) and action.step >= 0:
            total[action.step] += action.ns
    return total[1:-1]


def _per_operation(
    spent: np.ndarray[Any, Any], ops: tuple[Op, ...], fitted: Gpu
) -> dict[_Key, Estimate]:
    """Kernels and views share it, a kernel's dispatch costing more by what the file says."""
    kernels = sum(op.kind == KERNEL for op in ops)
    views = len(ops) - kernels
    more = fitted.ns("host", "op_ns") - fitted.ns("host", "view_op_ns")
    view = (spent - kernels * more) / max(1, kernels + views)
    if np.median(view) < 0:
        view, more = spent / max(1, kernels + views), 0
    return {
        ("host", "view_op_ns"): Estimate.of("view_op_ns", view, 0),
        ("host", "op_ns"): Estimate.of("op_ns", view + more, 0),
    }


def _with(base: Gpu, fits: dict[_Key, Estimate], looked: Looked, asked: Asked) -> Gpu:
    values, sources = dict(base.values), dict(base.sources)
    trace = looked.report.trace
    for key, one in fits.items():
        values[key] = one.value
        sources[key] = (
            f"median of {one.samples} in {Path(trace.path).name} ({trace.source.producer}), middle "
            f"80 %: {one.low} to {one.high}"
        )
    # On one line, as a GPU file is read back.
    name = plain(asked.name or f"{base.name}, calibrated to {Path(trace.path).name}")
    return structs.replace(base, name=name, values=values, sources=sources)


def _constants_table(
    base: Gpu, fits: dict[_Key, Estimate], looked: Looked, notes: list[str]
) -> Table:
    rows: list[tuple[Value, ...]] = [
        (f"{section}.{key}", base.ns(section, key), one.value, one.samples, one.low, one.high)
        for (section, key), one in sorted(fits.items())
    ]
    columns = (
        Column("constant", "constant"),
        Column("file_value", f"{base.key}.toml", "int"),
        Column("fitted_value", "fitted", "int"),
        Column("samples", "n", "int"),
        Column("low_value", "p10", "int"),
        Column("high_value", "p90", "int"),
    )
    notes = [
        f"ns (queue_depth: launches); fitted to {Path(looked.report.trace.path).name}, "
        f"{looked.report.trace.source.origin}. The profiler's own cost per call is in them.",
        *notes,
    ]
    return Table("constants", "Constants fitted to the trace", columns, tuple(rows), tuple(notes))


def _fit_table(looked: Looked, program: Program, fitted: Gpu, workload: Workload | None) -> Table:
    """The recording beside a replay and, where the workload is known, a simulation from nothing."""
    recorded = looked.steady
    pattern = (StepPattern.of_regex(looked.series.pattern),)
    replayed = steady_of(play(program, fitted.timing), pattern, recorded_place)
    shown = [("recorded", recorded), ("replayed", replayed)]
    if workload is not None:
        from .run import simulate

        shown.append(("simulated", steady_of(simulate(workload, fitted).log)))
    rows: list[tuple[Value, ...]] = [
        (
            name, one.period_ns, one.busy_ns, one.idle_ns, one.host_ns, one.limiter,
            None if name == "recorded" else one.period_ns / recorded.period_ns - 1,
        )
        for name, one in shown
    ]  # fmt: skip
    columns = (
        Column("what", "what"),
        Column("step_ns", "step µs", "us"),
        Column("gpu_busy_ns", "busy µs", "us"),
        Column("gpu_idle_ns", "idle µs", "us"),
        Column("host_ns", "host µs", "us"),
        Column("limiter", "limiter"),
        Column("error_share", "error", "percent"),
    )
    notes = (
        "replayed: the recording's own kernels and host times on the fitted device constants; "
        "simulated: the workload from its shapes alone, kernel durations by roofline.",
    )
    return Table("fit", "How well it fits, per step", columns, tuple(rows), notes)
