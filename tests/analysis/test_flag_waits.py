"""A thread that spins on a flag in pinned memory waits; one that works on its own does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path
from random import Random

import numpy as np
import pytest

from harness.analysis.analyze import analyze
from harness.analysis.model.cuda_calls import host_waits
from harness.analysis.model.flag_waits import FLAG, FlagWaits
from harness.analysis.model.following import LEAST
from harness.analysis.question import Question
from harness.analysis.readers.open import open_trace
from harness.analysis.report import TraceReport
from harness.analysis.writer.writer import TraceBuilder

from .build import US, builder, report, verdict
from .test_causes import split

KERNELS = [400 + Random(step).randrange(60) for step in range(40)]
"""How long the kernel of each step runs, us."""
OTHERS = [400 + Random(step).randrange(60) for step in range(100, 140)]
"""Times that have nothing to do with them."""
RUN = "cudaLaunchKernel_v7000"


def flag_loop(
    kernels: Sequence[int] = KERNELS,
    silences: Sequence[int] = (),
    wait: str | None = None,
    reaction: Callable[[int], int] = lambda step: 2 + step % 3,
) -> TraceBuilder:
    """Steps of a kernel and a copy to the host behind it. The host launches both until 26, and
    makes the next call so long after the copy has ended, or after a silence of its own; it works
    for 200 more. `wait`: a call that lasts until the copy has ended."""
    trace, thread = builder()
    base = 1000
    for step, kernel in enumerate(kernels):
        done = base + 27 + kernel
        copy(trace, thread, base, kernel)
        if wait:
            trace.wait((base + 26) * US, done * US, thread=thread, api_name=wait)
        on = base + 26 + silences[step] if silences else done + reaction(step)
        trace.nvtx((base + 21) * US, on * US, "Check Stop Condition", thread=thread)
        trace.api(on * US, (on + 1) * US, "cudaEventRecord_v3020", thread=thread)
        end = max(on, done) + 200
        trace.nvtx(base * US, (end - 5) * US, f"Step {step}", thread=thread)
        base = end
    return trace


def copy(trace: TraceBuilder, thread: int, base: int, kernel: int) -> None:
    """A kernel, and a copy of 2 behind it."""
    at = base * US
    trace.launch(at + 10 * US, at + 20 * US, at + 25 * US, at + (25 + kernel) * US, thread=thread)
    trace.copy(
        at + 22 * US, at + 26 * US, at + (25 + kernel) * US, at + (27 + kernel) * US, bytes=1,
        thread=thread, dst_kind=1,
    )  # fmt: skip


def found(trace: TraceBuilder, folder: Path) -> FlagWaits:
    trace.write(folder / "t.sqlite", force=True)
    return host_waits(open_trace(folder / "t.sqlite")).flags


def counts(trace: TraceBuilder, folder: Path) -> tuple[int, int]:
    waits = found(trace, folder)
    assert len(waits.call) == waits.followed
    return waits.followed, waits.copies


def test_a_loop_that_spins_has_the_figures_of_one_that_waits(tmp_path: Path) -> None:
    spins = report(flag_loop(), tmp_path)
    waits = report(flag_loop(wait="cudaEventSynchronize_v3020"), tmp_path)
    one, other = (told.series[0].steady for told in (spins, waits))
    assert one is not None
    assert other is not None
    assert one.limiter == other.limiter == "sync"
    assert one.host_ns == other.host_ns
    assert one.recoverable_ns == other.recoverable_ns > 150 * US
    assert one.causes == other.causes
    assert list(one.drained_by) == [f"Check Stop Condition · {FLAG}"]
    assert list(one.drained_by.values()) == list(other.drained_by.values())
    assert split(spins) == split(waits)


def test_it_is_said_that_it_was_inferred(tmp_path: Path) -> None:
    told = report(flag_loop(), tmp_path)
    assert verdict(told, "flag-waits") == "degraded"
    (said,) = (v.reason for v in told.verdicts if v.code == "flag-waits")
    assert "from 40 of 40 copies" in said


@pytest.mark.parametrize("question", [Question(start=5000 * US), Question(steps=(3, 9))])
def test_a_window_is_told_what_the_whole_trace_shows(tmp_path: Path, question: Question) -> None:
    flag_loop().write(tmp_path / "t.sqlite")
    told = analyze(tmp_path / "t.sqlite", question)
    (said,) = (v.reason for v in told.verdicts if v.code == "flag-waits")
    assert said.startswith("in the whole trace, ")
    assert "from 40 of 40 copies" in said


def test_the_wait_ends_with_the_copy(tmp_path: Path) -> None:
    waits = found(flag_loop(reaction=lambda step: 15), tmp_path)
    assert ((waits.end - waits.start) == (np.array(KERNELS) + 1) * US).all()


def on_two_gpus() -> TraceBuilder:
    """A second GPU works for 5 in each step, launched as the wait for the first one ends."""
    trace, thread = builder()
    trace.device(1, name="Test GPU", uuid="00000000-0000-0000-0000-000000000002")
    base = 1000
    for step, kernel in enumerate(KERNELS):
        trace.nvtx(base * US, (base + kernel + 70) * US, f"Step {step}", thread=thread)
        copy(trace, thread, base, kernel)
        base += 27 + kernel
        at = (base + 3) * US
        trace.launch(at, at + 2 * US, at + 4 * US, at + 9 * US, thread=thread, device=1)
        base += 50
    return trace


def test_another_gpu_idles_while_it_spins(tmp_path: Path) -> None:
    told = report(on_two_gpus(), tmp_path)
    # From 26 after the begin of a step to the end of the copy, in all but the first step.
    waits = sum(k + 1 for k in KERNELS[1:]) * US
    causes = told.devices[1].causes
    assert causes["sync"] == waits
    assert causes["host"] == (10 + 2 + (50 - 3 - 9) + 3) * US * (len(KERNELS) - 1)


def silent(told: TraceReport) -> bool:
    return verdict(told, "flag-waits") is None and FLAG not in str(told.devices[0].drained_by)


def test_a_host_that_works_for_itself_waits_for_nothing(tmp_path: Path) -> None:
    longer = [x + 40 for x in OTHERS]
    assert silent(report(flag_loop(silences=longer), tmp_path))


def test_a_host_that_is_always_a_little_later_waits_for_nothing(tmp_path: Path) -> None:
    """Both take equally long in each step: nothing shows who follows whom."""
    even = [430] * len(KERNELS)
    assert counts(flag_loop(kernels=even), tmp_path) == (0, 0)


def test_growing_together_is_no_wait(tmp_path: Path) -> None:
    """Host and GPU take 5 more with every step, and the host is never more than 20 behind."""
    noise = [Random(step).randrange(18) for step in range(40)]
    kernels = [400 + 5 * step for step in range(40)]
    silences = [402 + 5 * step + noise[step] for step in range(40)]
    assert counts(flag_loop(kernels, silences), tmp_path) == (0, 0)


def test_a_common_rhythm_is_no_wait(tmp_path: Path) -> None:
    """Every third step is longer, on the host by as much as on the GPU."""
    kernels = [300 if step % 3 else 600 for step in range(40)]
    silences = [k + 4 + Random(step).randrange(9) for step, k in enumerate(kernels)]
    assert counts(flag_loop(kernels, silences), tmp_path) == (0, 0)


def test_a_few_copies_prove_nothing(tmp_path: Path) -> None:
    assert counts(flag_loop(KERNELS[: LEAST - 1]), tmp_path) == (0, 0)
    assert counts(flag_loop(KERNELS[:LEAST]), tmp_path) == (LEAST, LEAST)


@pytest.mark.parametrize(("late", "expected"), [(4, (36, 40)), (5, (0, 0))])
def test_nine_of_ten_must_follow(tmp_path: Path, late: int, expected: tuple[int, int]) -> None:
    loop = flag_loop(reaction=lambda step: 300 if step % 8 == 3 and step < 8 * late else 3)
    assert counts(loop, tmp_path) == expected


def test_copies_of_another_place_do_not_count(tmp_path: Path) -> None:
    """Between the steps a copy to the host that nobody waits for."""
    trace, thread = builder()
    base = 1000
    for kernel in KERNELS:
        copy(trace, thread, base, kernel)
        on = base + 27 + kernel + 3
        at = on * US
        trace.api(at, at + US, "cudaEventRecord_v3020", thread=thread)
        trace.copy(
            at + 2 * US, at + 5 * US, at + 20 * US, at + 25 * US, bytes=8, thread=thread, dst_kind=1
        )
        trace.api(at + 8 * US, at + 9 * US, "cudaEventRecord_v3020", thread=thread)
        base = on + 200
    assert counts(trace, tmp_path) == (40, 40)


def with_another(wait: tuple[int, int] | None, *, same: bool = True) -> TraceBuilder:
    """The loop, and a second thread whose synchronise call in each step begins and ends so long
    after the end of the copy."""
    trace = flag_loop()
    process = trace.process(100) if same else trace.process(200)
    thread = trace.thread(process, 101 if same else 200, "other")
    steps = accumulate((227 + k for k in KERNELS[:-1]), initial=1000)
    shift = accumulate((2 + step % 3 for step in range(39)), initial=0)
    for base, late, kernel in zip(steps, shift, KERNELS, strict=True):
        if wait:
            done = base + late + 27 + kernel
            trace.wait((done + wait[0]) * US, (done + wait[1]) * US, thread=thread)
    return trace


def test_a_thread_that_hands_over_explains_the_silence(tmp_path: Path) -> None:
    assert counts(with_another((-50, 1)), tmp_path) == (0, 0)


@pytest.mark.parametrize("wait", [(-50, -10), (5, 50)])
def test_a_wait_of_another_thread_at_another_time_explains_nothing(
    tmp_path: Path, wait: tuple[int, int]
) -> None:
    assert counts(with_another(wait), tmp_path) == (40, 40)


def test_another_process_explains_nothing(tmp_path: Path) -> None:
    assert counts(with_another((-50, 1), same=False), tmp_path) == (40, 40)


@pytest.mark.parametrize("call", ["cudaLaunchHostFunc_v10000", "cuStreamWaitValue32_v2"])
def test_where_the_gpu_may_wait_for_the_host_nothing_is_claimed(tmp_path: Path, call: str) -> None:
    trace = flag_loop()
    trace.api(10, 20, call, thread=trace.thread(trace.process(100), 101, "other"))
    assert counts(trace, tmp_path) == (0, 0)


def test_a_wait_of_its_own_is_not_counted_twice(tmp_path: Path) -> None:
    assert counts(flag_loop(wait="cudaEventSynchronize_v3020"), tmp_path) == (0, 0)


def test_a_part_keeps_the_waits_before_its_calls() -> None:
    waits = FlagWaits(np.array([2, 5, 9]), np.array([0, 10, 20]), np.array([1, 11, 21]), 3, 3)
    part = waits.among(np.array([1, 2, 4, 9, 12]))
    assert part.call.tolist() == [1, 3]
    assert part.end.tolist() == [1, 21]
    assert waits.between(3, 9)[0].tolist() == [10]


RECORDED = Path(__file__).parents[1] / "kineto" / "flags"


def test_a_recorded_loop_that_spins_waits() -> None:
    trace = open_trace(RECORDED / "spins.json.gz")
    found = host_waits(trace).flags
    assert (found.followed, found.copies) == (39, 39)
    # It launches for 1 ms or more, and then waits for most of the step.
    assert 2_000 * US < np.median(found.end - found.start) < 4_000 * US


def test_a_recorded_loop_that_works_does_not_wait() -> None:
    trace = open_trace(RECORDED / "works.json.gz")
    assert len(host_waits(trace).flags.call) == 0
