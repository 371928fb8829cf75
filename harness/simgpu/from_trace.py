"""`harness predict --from`: what a recorded loop would gain, by replaying its own work."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import asdict

from ..analysis.analyze import analyze
from ..analysis.gains.gpu import Gpu, load_gpu
from ..analysis.gains.log import Log
from ..analysis.idle.choose.choice import Chosen
from ..analysis.idle.figures import Steady
from ..analysis.predict.figures import Looked, builder, look
from ..analysis.predict.host_times import host_times
from ..analysis.predict.recorded import Recorded, read_program
from ..analysis.predict.replay import (
    TRACED,
    Offer,
    Predicted,
    Scenario,
    lender_of,
    played,
    replay_error,
    scenarios_of,
)
from ..analysis.predict.to_trace import fill, recorded_place
from ..analysis.question import Question
from ..analysis.reports.base import Column, Table, Value
from ..errors import NotADirectory
from ..files import refuse_existing
from .remarks import ReplayMisses
from .show import Outcome

UNRELIABLE = 0.05
"""A replay that misses the recorded period by more than this share is said to be unreliable."""


@dataclass(frozen=True)
class Asked:
    """The command line of `harness predict --from`."""

    trace: str
    question: Question = field(default_factory=Question)
    gpus: tuple[str, ...] = ()
    traced_gpu: str | None = None
    write_to: Path | None = None
    force: bool = False


def predict_from(asked: Asked, progress: Callable[[str], None] = lambda _: None) -> Outcome:
    """Replay the trace, check the replay against it, and play every what-if.

    Raises TraceError or HarnessError, one line, where the trace cannot be read or replayed.
    """
    gpus = [load_gpu(name) for name in asked.gpus]
    if asked.write_to is not None and not asked.write_to.is_dir():
        raise NotADirectory(f"{asked.write_to} is not a directory")
    progress(f"reading {asked.trace}")
    report = analyze(asked.trace, asked.question)
    looked = look(report, asked.question.device)
    recorded = read_program(report.trace, looked.series, asked.question.patterns)
    lender = lender_of(looked, asked.traced_gpu, gpus_named=bool(asked.gpus))
    scenarios, assumptions = scenarios_of(recorded, gpus, lender)
    for scenario in scenarios if asked.write_to is not None else ():
        for ending in (".sqlite", ".json"):
            path = _file_of(scenario, asked).with_suffix(ending)
            refuse_existing(path, force=asked.force, inputs=(asked.trace,))
    done = []
    for scenario in scenarios:
        progress(f"playing: {scenario.name}")
        log, predicted = played(scenario, recorded.patterns)
        done.append(predicted)
        if asked.write_to is not None:
            _write(scenario, asked, looked, log)
    return _outcome(looked, recorded, done, assumptions, lender)


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
    Column("step_ns", "step µs", "us"),
    Column("step_error_ns", "± µs", "us"),
    Column("gpu_busy_ns", "busy µs", "us"),
    Column("gpu_idle_ns", "idle µs", "us"),
    Column("inter_step_idle_ns", "inter µs", "us"),
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
    misses = replay_error(looked, done[0])
    offers = [Offer.of(one, done[0], misses) for one in done]
    # Another GPU was asked for by name: what it makes of the loop is told in any case.
    told = [
        k == 0 or offer.shown or done[k].scenario.gpu != TRACED for k, offer in enumerate(offers)
    ]
    rows = [_row(TRACED, "–", source.origin, measured, None, None)]
    rows += [
        _row(
            one.scenario.gpu, one.scenario.name, one.scenario.origin, one.steady, offer.error_ns,
            None if one is done[0] else offer.gain_ns / replayed.period_ns,
        )
        for one, offer, tell in zip(done, offers, told, strict=True)
        if tell
    ]  # fmt: skip
    left_out = [one.scenario.name for one, tell in zip(done, told, strict=True) if not tell]
    columns: tuple[Column, ...] = _COLUMNS
    if all(row[0] == TRACED for row in rows):
        columns, rows = _COLUMNS[1:], [row[1:] for row in rows]
    constants = recorded.constants
    seen = ", ".join(
        f"{e.name.removesuffix('_ns').replace('_', ' ')} {e.value / 1e3:.2f} µs (n={e.samples})"
        for e in constants.estimates
        if e.samples and e.name != "queue_depth"
    )
    borrowed = ", ".join(constants.stood_in)
    notes = [
        f"The replay of the recorded work misses the recorded step by {error:+.2%} "
        f"and its idle time by {idle_error / 1e3:+.1f} µs; 'saved' is against the replay, and ± is "
        "what the replay misses, with twice the standard error of what it misses each step by.",
        f"From the trace: kernel durations, host time, {seen or 'no constants'}; "
        f"from {lender.key}.toml: {borrowed or 'nothing'}.",
        *([_not_offered(left_out, misses)] if left_out else []),
        *assumptions,
        *_steps_taken(looked.report.chosen),
        host_times(looked.report),
        *(f"{note[0].upper()}{note[1:]}." for note in recorded.notes),
    ]
    warnings = []
    if abs(error) > UNRELIABLE:
        warnings.append(
            ReplayMisses(
                f"the replay misses the recorded step by {error:+.1%}, more than {UNRELIABLE:.0%}: "
                "do not rely on these predictions"
            )
        )
    label = looked.report.label
    title = f"Predicted from {Path(looked.report.trace.path).name} ({label}), per step"
    facts = (
        ("trace", str(looked.report.trace.path)),
        ("reproduction_error_share", round(error, 6)),
        ("reproduction_idle_error_ns", round(idle_error, 1)),
        ("replay_error_ns", round(misses, 1)),
        ("not_offered", left_out),
        ("constants", [asdict(one) for one in constants.estimates]),
        ("constants_from", lender.key),
    )
    table = Table("scenarios", title, columns, tuple(rows), tuple(notes))
    return Outcome("predict-from", (table,), tuple(warnings), facts)


def _steps_taken(chosen: Chosen | None) -> list[str]:
    """What was taken for steps, if nobody named them and they are not the harness's own."""
    said = chosen.said if chosen else ""
    if chosen and chosen.repeats:
        said = (
            "no range marks the steps: repeats of the work are taken, --step 'GLOB' takes ranges."
        )
    return [said[0].upper() + said[1:]] if said else []


def _not_offered(names: list[str], error: float) -> str:
    said = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    wins = "is not shown: it wins" if len(names) == 1 else "are not shown: they win"
    return (
        f"{said} {wins} no more than the replay may be off ({error / 1e3:.1f} µs), or than 0.1% of "
        "the step."
    )


def _row(
    gpu: str, name: str, origin: str, steady: Steady, error: float | None, saved: float | None
) -> tuple[Value, ...]:
    if saved is not None and abs(saved) < 5e-4:
        saved = 0.0
    return (
        gpu, name, origin, steady.period_ns, error, steady.busy_ns, steady.idle_ns, steady.inter_ns,
        steady.limiter, saved,
    )  # fmt: skip
