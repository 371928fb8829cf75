"""Host synchronisations per step: what a strategy declares is what happens."""

import dataclasses

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from harness.decode.registry import (
    choice_class,
    choice_names,
    find_strategy,
    host_syncs_of,
    strategies,
)
from harness.decode.strategy import HostSyncs

from .support import NEW, FakeGraphRuntime, decode, make_workload


class ScalarReads(TorchDispatchMode):
    """Counts what on CUDA would hold the host until the queue is empty.

    Outside inference mode item and is_nonzero reach here as _local_scalar_dense; inside it they
    come as themselves. The others have shapes, or answers, that depend on values.
    """

    READS = frozenset(
        {
            torch.ops.aten._local_scalar_dense.default,
            torch.ops.aten.item.default,
            torch.ops.aten.is_nonzero.default,
            torch.ops.aten.nonzero.default,
            torch.ops.aten.masked_select.default,
            torch.ops.aten.equal.default,
        }
    )

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += function in self.READS
        return function(*args, **(kwargs or {}))


def count_reads(strategy, workload):
    runtime = FakeGraphRuntime()
    _, decoder = decode(strategy, workload, runtime)
    with ScalarReads() as reads:
        generation = decoder.run()
    return reads.count, runtime.counters, generation.steps_executed


EAGER = [s.name for s in strategies() if s.execution != "compile" and s.engine == "loop"]


@pytest.mark.parametrize("pattern", [(None, None), (2, 7), (NEW - 1, 0)], ids=str)
@pytest.mark.parametrize("name", EAGER)
def test_scalar_reads_are_those_declared(name, pattern):
    strategy = find_strategy(name)
    workload = make_workload(pattern, every_k=4)
    reads, counters, executed = count_reads(strategy, workload)

    stop = choice_class("stop_check", strategy.stop_check)(workload)
    cache = choice_class("cache", strategy.cache)
    hidden = cache.reads_per_prefill + cache.reads_per_step * (executed - 1)
    assert counters.device_reads == stop.expected_reads(executed)
    assert counters.event_waits == stop.expected_event_waits(executed)
    # What transformers reads by itself comes on top, and nothing else does.
    assert reads == stop.expected_reads(executed) + hidden

    declared = host_syncs_of(strategy, every_k=4)
    assert declared.reads * executed == pytest.approx(reads, abs=1)
    assert declared.event_waits * executed == pytest.approx(counters.event_waits, abs=1)


@pytest.mark.parametrize("model", ["tiny", "llama-tiny", "qwen2-tiny", "qwen-tiny"])
@pytest.mark.parametrize("cache", ["dynamic", "static"])
def test_no_family_reads_by_itself_with_a_cache(model, cache):
    strategy = dataclasses.replace(find_strategy("no-stop-check"), cache=cache)
    reads, counters, _ = count_reads(strategy, make_workload(model=model))
    assert reads == choice_class("cache", cache).reads_per_prefill
    assert counters.device_reads == counters.event_waits == counters.flag_loads == 0


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_the_counter_sees_each_way_of_reading(mode):
    with mode():
        flag = torch.zeros(3).any()
        with ScalarReads() as reads:
            flag.item()
            bool(flag)
            assert not flag
            int(flag)
            flag + 1
    assert reads.count == 4


def test_sampling_reads_nothing():
    reads, _, _ = count_reads(find_strategy("no-stop-check"), make_workload(temperature=0.7))
    assert reads == 0


def test_a_pad_token_would_cost_a_read_every_step():
    """Why load_model empties pad_token_id; and proof that the counter sees such a read."""
    from harness.decode import models

    workload = make_workload()
    model = models.load_model(workload, torch.device("cpu"))
    model.config.pad_token_id = 0
    runtime = FakeGraphRuntime()
    _, decoder = decode("no-stop-check", workload, runtime, model=model)
    with ScalarReads() as reads:
        executed = decoder.run().steps_executed
    assert reads.count == executed


def test_published_loop_waits_for_nothing():
    runtime = FakeGraphRuntime()
    generation, _ = decode("pipelined-published", make_workload((2, 3)), runtime)
    assert runtime.counters.event_waits == runtime.counters.device_reads == 0
    assert runtime.counters.flag_loads == generation.steps_executed - 1


def test_every_stop_check_declares_what_its_formula_gives():
    for name in choice_names("stop_check"):
        stop = choice_class("stop_check", name)(make_workload(every_k=5))
        declared = stop.host_syncs(every_k=5)
        assert stop.expected_reads(100) == pytest.approx(declared.reads * 100)
        assert stop.expected_event_waits(100) == pytest.approx(declared.event_waits * 100, abs=1)


@pytest.mark.parametrize(
    ("syncs", "text"),
    [
        (HostSyncs(), "none"),
        (HostSyncs(reads=1), "1 read"),
        (HostSyncs(reads=2), "2 reads"),
        (HostSyncs(reads=0.125), "1 read in 8"),
        (HostSyncs(event_waits=1), "1 event wait"),
        (HostSyncs(reads=1, event_waits=1), "1 read, 1 event wait"),
        (HostSyncs(reads=None, event_waits=None), "as transformers"),
    ],
)
def test_host_syncs_in_words(syncs, text):
    assert str(syncs) == text
