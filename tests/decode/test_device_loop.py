"""The loop that the device runs: windows, counts, names. test_contract holds its tokens."""

import pytest
import torch

from harness.bench.clock import StepClock
from harness.decode import session
from harness.decode.registry import find_strategy
from harness.decode.window import CaptureWindow
from harness.errors import HarnessError
from harness.nvtx import Range, Ranges

from .support import NEW, FakeGraphRuntime, decode, make_workload, reference, tiny_model


def decoder_of(workload, runtime, names):
    def make(name, colour):
        return Range(lambda: names.append(name), lambda: None)

    ranges = Ranges(workload.max_new_tokens, make=make)
    strategy = find_strategy("device-loop")
    decoder = session.make_decoder(tiny_model(), workload, runtime, ranges, strategy)
    decoder.prepare()
    names.clear()
    runtime.log.clear()
    return decoder


def test_one_launch_makes_every_step_and_stops_at_the_end():
    runtime, names = FakeGraphRuntime(), []
    workload = make_workload((2, 7, 4, 9))
    generation = decoder_of(workload, runtime, names).run()
    assert torch.equal(generation.tokens, reference(workload))
    assert (generation.steps_executed, generation.overshoot) == (10, 0)
    assert runtime.log.count("loop") == 1
    assert runtime.counters.device_reads == 1
    assert [name for name in names if name.startswith("Step")] == ["Step 0", f"Steps 1:{NEW}"]


@pytest.mark.parametrize(
    ("window", "spans", "recorded"),
    [
        ((3, 6), ["Step 0", "Steps 1:3", "Steps 3:6", f"Steps 6:{NEW}"], 3),
        ((0, 2), ["Step 0", "Steps 1:2", f"Steps 2:{NEW}"], 2),
        ((8, 12), ["Step 0", "Steps 1:8", "Steps 8:12"], 2),
        ((10, 12), ["Step 0", "Steps 1:10"], 0),
    ],
)
def test_a_recorded_window_is_a_launch_of_its_own(window, spans, recorded):
    """Rows end at step 9: of 8:12 two steps are made, 10:12 never opens."""
    runtime, names = FakeGraphRuntime(), []
    workload = make_workload((2, 7, 4, 9), steps=window)
    decoder = decoder_of(workload, runtime, names)
    opened = CaptureWindow(window, runtime, decoder.ranges)
    generation = decoder.run(opened)
    assert torch.equal(generation.tokens, reference(workload))
    assert [name for name in names if name.startswith("Step")] == spans
    assert opened.recorded == recorded
    assert runtime.log.count("profiler start") == runtime.log.count("profiler stop")
    assert opened.opened is bool(recorded)


def test_sampling_is_refused():
    with pytest.raises(HarnessError, match="greedy"):
        decode("device-loop", make_workload(temperature=0.8))


def test_bench_knows_no_single_steps():
    """Each was made by the device: only the host's launches could be timed."""
    runtime = FakeGraphRuntime()
    clock = StepClock(runtime)
    generation = decoder_of(make_workload(), runtime, []).run(clock)
    assert generation.steps_executed == NEW
    assert len(clock.steps_ns()) == 0
