"""docs/definitions.md: every section's worked example is built, and its numbers are found."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from harness.analysis.analyze import analyze
from harness.analysis.answer.compose import answer_of
from harness.analysis.answer.kinds import kinds
from harness.analysis.gains.changes import changes
from harness.analysis.idle.causes import causes
from harness.analysis.question import Question
from harness.analysis.report import TraceReport
from harness.analysis.writer.writer import TraceBuilder

from ..analysis import test_flag_waits as flags
from ..analysis.build import US, builder, decode_loop, report
from ..bare import support as taken_out
from ..bare.test_comes_back import host_bound
from ..conftest import ROOT
from ..steps.loops import Program
from ..steps.test_choice import chosen, epochs, repeated
from .pages import text

SCRIPT = ROOT / "scripts" / "definition_lists.py"
PAGE = text("docs/definitions.md")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


def example(section: str) -> str:
    """The paragraph in italics, on one line."""
    found = re.findall(r"^\*(?!\*)(.+?[.!])\*$", SECTIONS[section], re.MULTILINE | re.DOTALL)
    assert len(found) == 1, f"{section}: one example is wanted, found {len(found)}"
    return " ".join(found[0].split())


def says(section: str, *phrases: str) -> None:
    """Each phrase, made from computed figures, stands in the example."""
    for phrase in phrases:
        assert phrase in example(section), phrase


def us(ns: float) -> int:
    assert ns % US == 0
    return int(ns) // US


def kernels(
    trace: TraceBuilder, thread: int, *spans: tuple[int, int], call: int = 0, **more: int
) -> None:
    """Kernels at these times, us, each launched by a call of 1 us just before it or at `call`."""
    for start, end in spans:
        at = call or max(start - 1, 0)
        trace.launch(at * US, (at + 1) * US, start * US, end * US, thread=thread, **more)


def busy_and_idle(tmp_path: Path) -> None:
    trace, thread = builder()
    kernels(trace, thread, (10, 50), stream=7)
    kernels(trace, thread, (12, 20), (30, 40), (60, 70), stream=13)
    (gaps,) = report(trace, tmp_path).gaps
    assert (us(gaps.busy_ns), us(gaps.idle_ns), len(gaps)) == (50, 10, 1)
    says("Busy and idle", f"one gap of {us(gaps.idle_ns)}", "busy [10, 50) and [60, 70)")


def window(tmp_path: Path) -> None:
    trace, thread = builder()
    kernels(trace, thread, (10, 20), (50, 60))
    trace.duration(100 * US)

    def found(chosen: Question) -> tuple[int, int, int]:
        (device,) = report(trace, tmp_path, chosen).devices
        return us(device.window_ns), us(device.busy_ns), us(device.idle_ns)

    says("Window", "Window [10, 60): {} long, busy {}, idle {}.".format(*found(Question())))
    whole = found(Question(capture=True))
    says("Window", f"[0, 100): {whole[0]} long, idle {whole[2]}")
    says(
        "Window",
        "55us`: {} long, busy {}, idle {}.".format(*found(Question(start=15 * US, end=55 * US))),
    )


def device(tmp_path: Path) -> None:
    def reported(*uuids: str) -> TraceReport:
        trace = TraceBuilder(producer="builder", origin="synthetic")
        for rank, (uuid, span) in enumerate(zip(uuids, ((0, 10), (5, 20)), strict=True)):
            pid = 100 + rank
            thread = trace.thread(trace.process(pid), pid)
            trace.device(name="Test GPU", uuid=uuid, pid=pid)
            kernels(trace, thread, span)
        return report(trace, tmp_path)

    (one,) = (us(one.busy_ns) for one in reported("GPU-1", "GPU-1").devices)
    both = reported("GPU-1", "GPU-2")
    first, second = (us(one.busy_ns) for one in both.devices)
    idle = f"{us(both.all_idle_ns)} of {us(both.all_window_ns)}"
    says(
        "Device",
        f"share a device, busy {one}.",
        f"busy {first} and {second}, and `all` is idle {idle}.",
    )


def step_and_series(tmp_path: Path) -> None:
    trace, thread = builder()
    trace.nvtx(0, 30 * US, "Step 3", thread=thread)
    for call, span in (((5, 10), 100), ((25, 35), 110), ((40, 45), 120)):
        trace.launch(
            call[0] * US, call[1] * US, span * US, (span + 10) * US, thread=thread
        )  # fmt: skip
    found = report(trace, tmp_path)
    (series,) = found.series
    assert series.table.number.tolist() == [3]
    assert series.table.operations.tolist() == [2]
    assert found.steps.unassigned == 1
    start, end = us(series.table.gpu_start[0]), us(series.table.gpu_end[0])
    says("Step and step series", f"The projection is [{start}, {end}).")


def which_steps(tmp_path: Path) -> None:
    program = Program()
    epochs(3, 20)(program)
    found = analyze(program.write(tmp_path))
    (series,) = found.steps.series
    says("Which steps", f"{len(series)} steps `{series.pattern}` are taken")
    program = Program()
    repeated("forward")(program)
    assert not chosen(program.write(tmp_path)).ranges
    says("Which steps", "Of 12 ranges `forward` alone none is.")


def gap(tmp_path: Path) -> None:
    trace, thread = builder()
    # All launched early, in their steps; `call` keeps the calls apart.
    trace.nvtx(1 * US, 5 * US, "Step 1", thread=thread)
    kernels(trace, thread, (5, 10), call=2)
    kernels(trace, thread, (12, 20), call=4)
    trace.nvtx(6 * US, 9 * US, "Step 2", thread=thread)
    kernels(trace, thread, (30, 40), call=7)
    kernels(trace, thread, (45, 50), call=10)
    trace.duration(60 * US)
    found = report(trace, tmp_path, Question(start=5 * US, capture=True))
    (series,) = found.series
    parts = [
        us(getattr(series, f"{name}_ns")) for name in ("inter", "intra", "unassigned", "boundary")
    ]
    idle = us(found.devices[0].idle_ns)
    says("Gap", "Idle {} = {} + {} + {} + {}.".format(idle, *parts))
    says("Gap", f"Gaps: {parts[1]} intra, {parts[0]} inter, {parts[2]} unassigned.")


def steady(tmp_path: Path) -> None:
    trace, thread = builder()
    spans = [(0, 80), (100, 180), (200, 280), (330, 410), (430, 510)]
    for number, (start, end) in enumerate(spans):
        at = 1 + number * 4
        trace.nvtx(at * US, (at + 3) * US, f"Step {number}", thread=thread)
        kernels(trace, thread, (max(start, 3), end), call=at + 1)
    (series,) = report(trace, tmp_path).series
    found = series.steady
    assert found is not None
    begins, ends = us(found.start_ns), us(found.end_ns)
    says("Steady state", f"the steady window is [{begins}, {ends}), {found.steps} steps")
    period, busy, idle = (us(getattr(found, f"{n}_ns")) for n in ("period", "busy", "idle"))
    says("Steady state", f"Period {period} = busy {busy} + idle {idle}.")
    each = [us(value) for value in series.table.idle.tolist()[1:-1]]
    says(
        "Steady state",
        f"Idle of the three: {', '.join(map(str, each))}; median {us(np.median(each) * US)}",
    )
    trace, thread = builder()
    begins = [0, 90, 185, 1185, 1290]
    for number, (begin, end) in enumerate(zip(begins, [*begins[1:], 1400], strict=True)):
        trace.nvtx(begin * US, (end - 1) * US, f"Step {number}", thread=thread)
    spans = [(3, 80), (100, 180), (1200, 1280), (1300, 1380)]
    for begin, span in zip(begins[:2] + begins[3:], spans, strict=True):
        kernels(trace, thread, span, call=begin + 1)
    (series,) = report(trace, tmp_path).series
    found = series.steady
    assert found is not None
    says("Steady state", f"ranges open at {begins[0]}, {begins[1]}, {begins[2]}, {begins[3]}")
    assert (us(found.start_ns), us(found.end_ns)) == (80, 1280)
    took = us(series.table.left_out.sum())
    says("Steady state", f"Of the gap [180, 1200) the dead step took {took}")
    (each,) = set(series.table.steady_idle.tolist())
    period = us(found.period_ns)
    says("Steady state", f"{found.steps} steps of {period}, idle {us(each)} each")


def one_gap_of_every_cause() -> TraceBuilder:
    trace, thread = builder()
    kernels(trace, thread, (8, 20), call=1)
    trace.wait(10 * US, 25 * US, thread=thread)
    trace.api(30 * US, 40 * US, "cudaMalloc_v3020", thread=thread)
    trace.api(50 * US, 60 * US, "cudaEventRecord_v3020", thread=thread)
    trace.overhead(55 * US, 65 * US, "CUPTI Buffer flush", thread=thread)
    trace.launch(80 * US, 90 * US, 100 * US, 110 * US, thread=thread)
    return trace


def cause(tmp_path: Path) -> None:
    found = report(one_gap_of_every_cause(), tmp_path).devices[0]
    split = {name: us(ns) for name, ns in found.causes.items() if ns}
    states = "sync {sync}, allocator {allocator}, api {api}, profiler {profiler}"
    says("Causes", states.format(**split), f"= {split['host']}, launch {split['launch']}")
    says("Causes", f"queue {split['queue']}. Sum {sum(split.values())}.")


def held(tmp_path: Path) -> None:
    def causes_of(*, until: int | None) -> dict[str, int]:
        trace, thread = builder()
        kernels(trace, thread, (10, 50))
        trace.api(20 * US, 21 * US, "cudaLaunchHostFunc_v10000", thread=thread)
        kernels(trace, thread, (100, 110), call=30)
        if until:
            trace.host_function(55 * US, until * US, process=trace.process(100))
        for context, begin, end in ((1, 5, 79), (2, 80, 95), (1, 96, 120)):
            trace.context_switch(begin * US, begin=True, context=context)
            trace.context_switch(end * US, begin=False, context=context)
        (device,) = report(trace, tmp_path).devices
        return {name: us(ns) for name, ns in device.causes.items() if ns}

    section = "Host functions and other contexts"
    found = causes_of(until=85)
    assert sum(found.values()) == 100 - 50
    says(section, ", ".join(f"{name} {ns}" for name, ns in found.items()) + ".")
    for until in (None, 120):
        others = causes_of(until=until)
        says(section, ", ".join(f"{name} {ns}" for name, ns in others.items()) + ".")


def synchronising(tmp_path: Path) -> None:
    def sync(call_end: int) -> int:
        trace, thread = builder()
        kernels(trace, thread, (5, 10))
        trace.copy(
            10 * US, call_end * US, 20 * US, 22 * US, bytes=1, thread=thread, dst_kind=0
        )  # fmt: skip
        kernels(trace, thread, (50, 60))
        (gaps,) = report(trace, tmp_path).gaps
        assert us(gaps.end[-1] - gaps.start[-1]) == 28
        (device,) = report(trace, tmp_path, Question(start=22 * US, end=None)).devices
        return us(device.causes.get("sync", 0))

    says("Synchronising call", f"the first {sync(25)} are `sync`", f"held nobody: {sync(15)}.")


def poll(tmp_path: Path) -> None:
    def spent(last: int) -> dict[str, int]:
        trace, thread = builder()
        kernels(trace, thread, (5, 20))
        for at, answer in ((10, 600), (14, 600), (18, 600), (22, 600), (26, last)):
            trace.api(at * US, (at + 1) * US, "cudaEventQuery_v3020", thread=thread,
                      return_value=answer)  # fmt: skip
        kernels(trace, thread, (100, 110), call=80)
        (device,) = report(trace, tmp_path).devices
        return {name: us(ns) for name, ns in device.causes.items()}

    says("Poll", f"of the gap the first {spent(0)['sync']} are `sync`")
    never = spent(600)
    says("Poll", f"{never['sync']} are `sync`, and the {never['api']} queries in the gap `api`")


def flag(tmp_path: Path) -> None:
    kernels = flags.KERNELS.copy()
    kernels[20] = 453
    loop = flags.flag_loop(kernels, reaction=lambda step: 2 + (step + 2) % 3)
    waits = flags.found(loop, tmp_path)
    ends = [us(ns) + 26 for ns in waits.end - waits.start]
    assert 427 <= min(ends) <= max(ends) <= 486
    says("Wait for a flag", f"of {len(kernels)} steps all {len(ends)} show a wait")
    says("Wait for a flag", f"followed at 483 being [26, {ends[20]})")
    own = flags.flag_loop(kernels, flags.OTHERS)
    assert len(flags.found(own, tmp_path).call) == 0
    says("Wait for a flag", "whatever the copy did, none would")


def drained(tmp_path: Path) -> None:
    (device,) = report(one_gap_of_every_cause(), tmp_path).devices
    ((call, ns),) = device.drained_by.items()
    assert call.endswith("cudaStreamSynchronize")
    sync = us(device.causes["sync"])
    says("Drained by", f"it drained all {us(ns)}, though only {sync} of them are `sync`")


def steps_of_100(busy: int, waits: int, folder: Path) -> TraceReport:
    """Steps of 100 us: a launch call of 5, a kernel from 10 on, then a wait of so long."""
    trace, thread = builder()
    for number in range(14):
        at = 1000 + number * 100
        trace.nvtx(at * US, (at + 99) * US, f"Step {number}", thread=thread)
        trace.launch(
            at * US, (at + 5) * US, (at + 10) * US, (at + 10 + busy) * US, thread=thread
        )  # fmt: skip
        if waits:
            trace.wait((at + 5) * US, (at + 5 + waits) * US, thread=thread)
    return report(trace, folder)


def gains(tmp_path: Path) -> None:
    ladder = steps_of_100(40, 50, tmp_path).gains[0].ladder
    assert ladder is not None
    assert (us(ladder.replayed_ns), ladder.error_ns) == (100, 0)
    found = {
        one.change: (one.spent_ns / US, one.step_ns / US, one.gain_ns / US)
        for one in ladder.rungs
        if one.where == "Step *"
    }
    _, left, wait = found["wait"]
    says("Gains", f"Without the wait {left:.0f} are left: gain {wait:.0f}.")
    spent, left, host = found["host"]
    says("Gains", f"{spent:.0f} of it in the range")
    says("Gains", f"Without the range's host time {left:.0f} are left: gain {host:.0f}.")
    _, left, both = found["place"]
    says("Gains", f"the kernel still takes 40 and its stream {left - 40:.1f}: gain {both:.1f}")
    says("Gains", f"and not {wait + host:.0f}.")


def kind(tmp_path: Path) -> None:
    def found(busy: int, waits: int) -> tuple[str | None, float]:
        answer = answer_of(steps_of_100(busy, waits, tmp_path))
        return answer.kind, answer.rung.gain_ns / US if answer.rung else 0.0

    name, wins = found(40, 50)
    says("Kinds", f"{wins:.1f} to win in `Step *`, most of it the wait of 50: `{name}`.")
    says("Kinds", f"without the wait, busy 40: `{found(40, 0)[0]}`.")
    says("Kinds", f"With a kernel of 98 in place of it: `{found(98, 0)[0]}`.")


def other_definitions(tmp_path: Path) -> None:
    trace, thread = builder()
    kernels(trace, thread, (1, 10), (3040, 3050), stream=7)
    trace.copy(11 * US, 12 * US, 10 * US, 30 * US, bytes=1, thread=thread, dst_kind=1)
    kernels(trace, thread, (32, 2032), stream=13)
    rows = report(trace, tmp_path).details(0, Question(definitions=True)).definitions
    idle = {one.name: us(one.idle_ns) for one in rows}
    section = "Other people's definitions"
    says(section, f"Ours: 2 + {idle['harness'] - 2} idle.", f"`over-1-ms`: {idle['over-1-ms']}.")
    says(section, f"`kernels-only`: 22 + {idle['kernels-only'] - 22}.")
    says(section, f"`per-stream`: {idle['per-stream']},", f"gpu-gaps`: {idle['nsys-gpu-gaps']},")


def verdicts(tmp_path: Path) -> None:
    def few(steps: int) -> list[str]:
        found = report(decode_loop(steps), tmp_path)
        return [f"`{v.code}`, {v.level}" for v in found.verdicts if v.code == "few-steps"]

    assert few(12) == []
    says("Verdicts", f"11 steps has 9 in steady state: {few(11)[0]}")

    def lost(count: int) -> list[str]:
        trace, thread = builder()
        for number in range(200 - count):
            kernels(trace, thread, (number * 10 + 5, number * 10 + 9))
            if number < count:
                trace.api(
                    (number * 10 + 1) * US, (number * 10 + 2) * US, "cudaLaunchKernel_v7000",
                    thread=thread,
                )  # fmt: skip
        return [
            f"{v.level} ({v.reason.split('(')[1].split(')')[0]})"
            for v in report(trace, tmp_path).verdicts
            if v.code == "launches-without-gpu-rows"
        ]

    assert lost(0) == []
    says("Verdicts", "`launches-without-gpu-rows`, " + lost(1)[0].replace("0.50%", "0.5%"))
    says("Verdicts", "it is " + lost(2)[0].replace("1.00%", "1%"))


def _ranks(folder: Path) -> None:
    from ..analysis.test_stragglers import test_the_example_of_the_definitions

    test_the_example_of_the_definitions(folder)


def _bare(tmp_path: Path) -> None:
    from harness.analysis.bare.take_out import bare_trace

    program = taken_out.loop(host_bound)
    plain, slow = (taken_out.recorded(one, taken_out.TIMING)
                   for one in (program, taken_out.costly(program, 2 * US, 1 * US)))  # fmt: skip
    found = bare_trace(slow, taken_out.cost(2 * US, 1 * US))
    steps = [us(taken_out.step_ns(one)) for one in (plain, slow, found)]
    assert steps == [185, 245, 185]
    says("As recorded, and bare", "Steps of 185", "makes them 245", "185 again", "60 of the 245")


EXAMPLES: dict[str, Callable[[Path], None]] = {
    "Busy and idle": busy_and_idle,
    "Window": window,
    "Device": device,
    "Step and step series": step_and_series,
    "Which steps": which_steps,
    "Gap": gap,
    "Steady state": steady,
    "Causes": cause,
    "Host functions and other contexts": held,
    "Synchronising call": synchronising,
    "Poll": poll,
    "Wait for a flag": flag,
    "Drained by": drained,
    "As recorded, and bare": _bare,
    "Gains": gains,
    "Kinds": kind,
    "Other people's definitions": other_definitions,
    "Ranks and stragglers": _ranks,
    "Verdicts": verdicts,
}


def test_every_definition_has_an_example_and_every_example_a_test() -> None:
    assert list(SECTIONS) == list(EXAMPLES)
    for section in SECTIONS:
        assert example(section)


@pytest.mark.parametrize("section", EXAMPLES)
def test_the_worked_example(section: str, tmp_path: Path) -> None:
    EXAMPLES[section](tmp_path)


def test_every_cause_is_defined() -> None:
    assert {f"`{cause.name}`" for cause in causes()} <= set(
        re.findall(r"`[\w-]+`", SECTIONS["Causes"])
    )


def test_every_change_and_kind_is_listed() -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for section, named in (("Gains", changes()), ("Kinds", kinds())):
        rows = re.findall(r"^\| `([\w-]+)` \|", SECTIONS[section], re.MULTILINE)
        assert rows == [one.name for one in named]
