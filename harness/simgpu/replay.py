"""`harness predict --from`: what a recorded loop would gain, by replaying its own work."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ..analysis.analyze import analyze
from ..analysis.idle.figures import Steady
from ..analysis.question import DEFAULT_STEP, Question, StepPattern
from ..analysis.reports.base import Column, Table, Value
from ..errors import HarnessError, UsageError
from ..files import refuse_existing
from . import whatif
from .constants import Constants
from .export import fill, recorded_place
from .figures import Looked, builder, look, steady_of
from .gpu import Gpu, find_gpu, load_gpu
from .log import Log
from .machine import Timing
from .program import Program, play
from .recorded import Recorded, read_program
from .show import Outcome

UNRELIABLE = 0.05
"""A replay that misses the recorded period by more than this share is said to be unreliable."""

REFERENCE = "h100"
"""The file that lends constants which the trace does not show and no GPU was named for."""

TRACED = "traced"


@dataclass(frozen=True)
class Asked:
    """The command line of `harness predict --from`."""

    trace: str
    gpus: tuple[str, ...] = ()
    traced_gpu: str | None = None
    patterns: tuple[StepPattern, ...] = (DEFAULT_STEP,)
    steps: tuple[int | None, int | None] = (None, None)
    device: int | None = None
    write_to: Path | None = None
    force: bool = False


@dataclass(frozen=True)
class Scenario:
    """One what-if: its name, the program and timing to play, and the GPU it is about."""

    name: str
    program: Program
    timing: Timing
    gpu: str = TRACED
    origin: str = "predicted"


@dataclass(frozen=True)
class Predicted:
    """A scenario with its figures."""

    scenario: Scenario
    steady: Steady


def predict_from(asked: Asked, progress: Callable[[str], None] = lambda _: None) -> Outcome:
    """Replay the trace, check the replay against it, and play every what-if.

    Raises TraceError or HarnessError, one line, where the trace cannot be read or replayed.
    """
    gpus = [load_gpu(name) for name in asked.gpus]
    if asked.write_to is not None and not asked.write_to.is_dir():
        raise HarnessError(f"{asked.write_to} is no folder", remedy="create it first")
    progress(f"reading {asked.trace}")
    report = analyze(
        asked.trace, Question(patterns=asked.patterns, steps=asked.steps, device=asked.device)
    )
    looked = look(report, asked.device)
    recorded = read_program(report.trace, looked.series)
    lender = _lender(looked, asked)
    scenarios, assumptions = _scenarios(recorded, gpus, lender)
    for scenario in scenarios if asked.write_to is not None else ():
        for ending in (".sqlite", ".json"):
            path = _file_of(scenario, asked).with_suffix(ending)
            refuse_existing(path, force=asked.force, inputs=(asked.trace,))
    done = []
    for scenario in scenarios:
        progress(f"playing: {scenario.name}")
        log = play(scenario.program, scenario.timing)
        done.append(Predicted(scenario, steady_of(log, asked.patterns, recorded_place)))
        if asked.write_to is not None:
            _write(scenario, asked, looked, log)
    return _outcome(looked, recorded, done, assumptions, lender)


def _lender(looked: Looked, asked: Asked) -> Gpu:
    """The GPU file that stands for the traced machine: as named, by the trace's name, or ours."""
    if asked.traced_gpu:
        return load_gpu(asked.traced_gpu)
    found = find_gpu(looked.report.trace.devices[looked.summary.device].name)
    if found is None and asked.gpus:
        name = looked.report.trace.devices[looked.summary.device].name or "an unnamed GPU"
        raise UsageError(
            f"the trace was recorded on {name}, which no GPU file describes",
            remedy="name the nearest one with --traced-gpu, or leave --gpu out",
        )
    return found or load_gpu(REFERENCE)


def _timing(constants: Constants, lender: Gpu) -> Timing:
    """The trace's own constants; what it does not show is the GPU file's."""
    shown = constants.timing
    borrowed = {name: getattr(lender.timing, name) for name in constants.stood_in}
    return replace(shown, **borrowed)


def _scenarios(
    recorded: Recorded, gpus: list[Gpu], lender: Gpu
) -> tuple[list[Scenario], list[str]]:
    program, timing = recorded.program, _timing(recorded.constants, lender)
    host = {key: lender.ns("host", key) for key in ("event_record_ns", "event_wait_ns")}
    hide = {"record_ns": host["event_record_ns"], "wait_ns": host["event_wait_ns"]}
    graph = {
        "launch_ns": lender.ns("host", "graph_launch_ns"),
        "node_ns": lender.ns("host", "graph_node_ns"),
    }
    checks = whatif.check_waits(program)
    which = "the waits inside 'Check Stop Condition'" if checks else "every wait of a step"
    assumptions = [
        f"hide sync: {which} are for the step before's flag, through an event "
        f"({(hide['record_ns'] + hide['wait_ns']) / 1e3:.1f} us of calls more).",
        "no sync: the same waits are left out: the most that hiding them can win.",
        f"graph: between two waits of a step all launches become one CUDA graph: the host time "
        f"from the first to the last is replaced by {graph['launch_ns'] / 1e3:.1f} us + "
        f"{graph['node_ns']} ns a node ({lender.key}.toml), nodes follow each other after "
        f"{timing.node_gap_ns / 1e3:.2f} us; shapes must be fixed.",
    ]
    hidden = whatif.hide_sync(program, **hide)
    scenarios = [
        Scenario("replay", program, timing, origin="replayed"),
        Scenario("hide sync", hidden, timing),
        Scenario("no sync", whatif.drop_sync(program), timing),
        Scenario("graph", whatif.graph_launches(program, **graph), timing),
        Scenario("graph+hide", whatif.graph_launches(hidden, **graph), timing),
    ]
    for gpu in gpus:
        floor = lender.ns("kernels", "elementwise_ns")
        by_memory = gpu.nominal_bandwidth / lender.nominal_bandwidth
        by_compute = gpu.rate("float32", nominal=True) / lender.rate("float32", nominal=True)
        low, high = sorted((by_memory, by_compute))
        for ratio in dict.fromkeys((low, high)):
            what = "mem" if ratio == by_memory else "flop"
            label = f"{gpu.key} {what}"
            faster = whatif.faster_kernels(program, times=ratio, floor_ns=floor)
            late = whatif.hide_sync(faster, **hide)
            scenarios.append(Scenario("as recorded", faster, timing, label))
            scenarios.append(Scenario("hide sync", late, timing, label))
            both = whatif.graph_launches(late, **graph)
            scenarios.append(Scenario("graph+hide", both, timing, label))
        assumptions.append(
            f"{gpu.key}: kernels run, beyond their first {floor / 1e3:.2f} us, {by_memory:.2f} "
            f"times as fast if memory bounds them, {by_compute:.2f} times if float32 arithmetic "
            f"does (data sheets of {lender.name} and {gpu.name}); the truth of a mixture lies "
            "between; the host is as recorded."
        )
    return scenarios, assumptions


def _stem(asked: Asked) -> str:
    return Path(asked.trace).name.split(".")[0]


def _about(scenario: Scenario) -> str:
    return scenario.name if scenario.gpu == TRACED else f"{scenario.gpu} {scenario.name}"


def _file_of(scenario: Scenario, asked: Asked) -> Path:
    """Where its trace is written; its manifest stands beside it."""
    assert asked.write_to is not None
    name = re.sub(r"[^A-Za-z0-9]+", "-", _about(scenario)).strip("-")
    return asked.write_to / f"{_stem(asked)}-{name}.sqlite"


def _write(scenario: Scenario, asked: Asked, looked: Looked, log: Log) -> None:
    from ..manifest import RunManifest

    assert asked.write_to is not None
    path, about = _file_of(scenario, asked), _about(scenario)
    stem = _stem(asked)
    device = looked.report.trace.devices[looked.summary.device].name or "GPU"
    trace = builder(f"{stem}: {about}", device, {"REPLAY_OF": Path(asked.trace).name})
    fill(trace, log, recorded_place)
    trace.write(path, force=asked.force)
    RunManifest(
        origin="simulated",
        capture={"backend": "sim", "graph_trace": "node"},
        exit_code=0,
        strategy=f"{stem}: {about}",
        device={"name": device},
        notes=(f"played by harness predict from {Path(asked.trace).name}",),
    ).write(path.with_suffix(".json"))


_COLUMNS = (
    Column("gpu", "GPU"),
    Column("scenario", "what if"),
    Column("origin", "origin"),
    Column("step_ns", "step us", "us"),
    Column("gpu_busy_ns", "busy us", "us"),
    Column("gpu_idle_ns", "idle us", "us"),
    Column("inter_step_idle_ns", "inter us", "us"),
    Column("limiter", "limiter"),
    Column("saved_share", "saved", "percent"),
)


def _outcome(
    looked: Looked,
    recorded: Recorded,
    done: list[Predicted],
    assumptions: list[str],
    lender: Gpu,
) -> Outcome:
    measured, replayed = looked.steady, done[0].steady
    source = looked.report.trace.source
    error = replayed.period_ns / measured.period_ns - 1
    idle_error = replayed.idle_ns - measured.idle_ns
    rows = [_row(TRACED, "–", source.origin, measured, None)]
    rows += [
        _row(
            one.scenario.gpu, one.scenario.name, one.scenario.origin, one.steady,
            None if k == 0 else replayed,
        )
        for k, one in enumerate(done)
    ]  # fmt: skip
    columns = _COLUMNS
    if all(row[0] == TRACED for row in rows):
        columns, rows = _COLUMNS[1:], [row[1:] for row in rows]
    constants = recorded.constants
    seen = ", ".join(
        f"{e.name.removesuffix('_ns').replace('_', ' ')} {e.value / 1e3:.2f} us (n={e.samples})"
        for e in constants.estimates
        if e.samples and e.name != "queue_depth"
    )
    borrowed = ", ".join(constants.stood_in)
    notes = [
        f"The replay of the recorded work misses the recorded step by {error:+.2%} "
        f"and its idle time by {idle_error / 1e3:+.1f} us; 'saved' is against the replay.",
        f"From the trace: kernel durations, host time, {seen or 'no constants'}; "
        f"from {lender.key}.toml: {borrowed or 'nothing'}.",
        *assumptions,
        "The host's times are as recorded, with whatever the profiler added to them.",
        *(f"{note[0].upper()}{note[1:]}." for note in recorded.notes),
    ]
    warnings = []
    if abs(error) > UNRELIABLE:
        warnings.append(
            f"the replay misses the recorded step by {error:+.1%}, more than {UNRELIABLE:.0%}: "
            "do not rely on these predictions"
        )
    label = looked.report.label
    title = f"Predicted from {Path(looked.report.trace.path).name} ({label}), per step"
    facts = (
        ("trace", str(looked.report.trace.path)),
        ("reproduction_error_share", round(error, 6)),
        ("reproduction_idle_error_ns", round(idle_error, 1)),
        ("constants", [vars(one) for one in constants.estimates]),
        ("constants_from", lender.key),
    )
    table = Table("scenarios", title, columns, tuple(rows), tuple(notes))
    return Outcome("predict-from", (table,), tuple(warnings), facts)


def _row(
    gpu: str, name: str, origin: str, steady: Steady, base: Steady | None
) -> tuple[Value, ...]:
    saved = None if base is None else 1 - steady.period_ns / base.period_ns
    if saved is not None and abs(saved) < 5e-4:
        saved = 0.0
    return (
        gpu, name, origin, steady.period_ns, steady.busy_ns, steady.idle_ns, steady.inter_ns,
        steady.limiter, saved,
    )  # fmt: skip
