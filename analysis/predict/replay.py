"""Every what-if of a recorded loop, played: what each change would win."""

from __future__ import annotations

import math

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from ..gains.constants import Constants
from ..gains.errors import UnknownTracedGpu
from ..gains.gpu import Gpu, find_gpu, load_gpu
from ..gains.log import Log
from ..gains.machine import Timing
from ..idle.figures import Steady
from ..model.intervals import Int64
from ..question import StepPattern
from .figures import Looked, looked_of
from .program import Program, play
from .recorded import Recorded
from .to_trace import recorded_place
from .whatifs import Costs, graph_and_hide, hide_sync, what_ifs
from .whatifs.faster_kernels import faster_kernels

REFERENCE = "h100"
"""The file that lends constants which the trace does not show and no GPU was named for."""

TRACED = "traced"

_LEAST_GAIN = 0.001
"""Share of a step below which a gain is none."""


class Scenario(Struct, frozen=True):
    """One what-if: its name, the program and timing to play, and the GPU it is about."""

    name: str
    program: Program
    timing: Timing
    gpu: str = TRACED
    origin: str = "predicted"


class Predicted(Struct, frozen=True):
    """A scenario with its figures."""

    scenario: Scenario
    steady: Steady
    periods: Int64
    """Of each interior step, ns; see `Looked.periods`."""


def lender_of(looked: Looked, traced_gpu: str | None, *, gpus_named: bool) -> Gpu:
    """The GPU file that stands for the traced machine: as named, by the trace's name, or ours."""
    if traced_gpu:
        return load_gpu(traced_gpu)
    found = find_gpu(looked.report.trace.devices[looked.summary.device].name)
    if found is None and gpus_named:
        name = looked.report.trace.devices[looked.summary.device].name or "an unnamed GPU"
        raise UnknownTracedGpu(f"the trace was recorded on {name}, which no GPU file describes")
    return found or load_gpu(REFERENCE)


def _timing(constants: Constants, lender: Gpu) -> Timing:
    """The trace's own constants; what it does not show is the GPU file's."""
    shown = constants.timing
    borrowed = {name: getattr(lender.timing, name) for name in constants.stood_in}
    return replace(shown, **borrowed)


def played(scenario: Scenario, patterns: tuple[StepPattern, ...]) -> tuple[Log, Predicted]:
    """What happens in it, and its figures. Raises TraceError where it has no steady state."""
    log = play(scenario.program, scenario.timing)
    looked = looked_of(log, patterns, recorded_place)
    return log, Predicted(scenario, looked.steady, looked.periods)


def replay_error(recorded: Looked, replayed: Predicted) -> float:
    """How far the replay of a recorded step may be off, ns: by how much it misses the mean, and
    twice the standard error of what it misses each step by."""
    missed = abs(replayed.steady.period_ns - recorded.steady.period_ns)
    here, there = recorded.periods, replayed.periods
    if len(here) != len(there) or len(here) < 2:
        return missed
    spread = float(np.std(there - here, ddof=1)) / math.sqrt(len(here))
    return missed + 2 * spread


class Offer(Struct, frozen=True):
    """What a change would win of a step: `gain_ns` of the replayed one, give or take `error_ns`."""

    gain_ns: float
    error_ns: float
    shown: bool
    """It wins more than the replay may be off, and more than a thousandth of the step."""

    @classmethod
    def of(cls, one: Predicted, replayed: Predicted, error: float) -> Offer:
        """`error`: of the replay, ns; a longer step may be off by more, in proportion."""
        base = replayed.steady.period_ns
        gain = base - one.steady.period_ns
        error *= max(1.0, one.steady.period_ns / base)
        return cls(gain, error, gain > error and gain >= _LEAST_GAIN * base)


def scenarios_of(
    recorded: Recorded, gpus: list[Gpu], lender: Gpu
) -> tuple[list[Scenario], list[str]]:
    """Every what-if of a recorded loop, the replay without any first; and what they assume."""
    program, timing = recorded.program, _timing(recorded.constants, lender)
    costs = _costs(lender, timing)
    scenarios = [Scenario("replay", program, timing, origin="replayed")]
    assumptions = []
    for one in what_ifs():
        scenarios.append(Scenario(one.name, one.change(program, costs), timing))
        assumptions.append(one.assumes(program, costs))
    for gpu in gpus:
        more, said = _on_another(program, timing, costs, gpu, lender)
        scenarios += more
        assumptions.append(said)
    return scenarios, [said for said in assumptions if said]


def _costs(lender: Gpu, timing: Timing) -> Costs:
    names = ("event_record_ns", "event_wait_ns", "graph_launch_ns", "graph_node_ns")
    host = {name: lender.ns("host", name) for name in names}
    return Costs(**host, node_gap_ns=timing.node_gap_ns, source=lender.key)


def _on_another(
    program: Program, timing: Timing, costs: Costs, gpu: Gpu, lender: Gpu
) -> tuple[list[Scenario], str]:
    """The loop with the kernels of another GPU, by its memory and by its arithmetic."""
    floor = lender.ns("kernels", "elementwise_ns")
    by_memory = gpu.nominal_bandwidth / lender.nominal_bandwidth
    by_compute = gpu.rate("float32", nominal=True) / lender.rate("float32", nominal=True)
    scenarios = []
    for ratio in dict.fromkeys(sorted((by_memory, by_compute))):
        label = f"{gpu.key} {'mem' if ratio == by_memory else 'flop'}"
        faster = faster_kernels(program, times=ratio, floor_ns=floor)
        scenarios.append(Scenario("as recorded", faster, timing, label))
        for one in (hide_sync.WHAT_IF, graph_and_hide.WHAT_IF):
            scenarios.append(Scenario(one.name, one.change(faster, costs), timing, label))
    return scenarios, (
        f"{gpu.key}: kernels run, beyond their first {floor / 1e3:.2f} µs, {by_memory:.2f} "
        f"times as fast if memory bounds them, {by_compute:.2f} times if float32 arithmetic "
        f"does (data sheets of {lender.name} and {gpu.name}); the truth of a mixture lies "
        "between; the host is as recorded."
    )
