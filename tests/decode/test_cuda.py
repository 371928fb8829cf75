"""What only a GPU can show: real streams, copies in flight, graphs, PyTorch's sync check."""

import dataclasses
import json
import subprocess
import sys
import warnings

import pytest
import torch

from harness.decode import models
from harness.decode.availability import unavailable_reason
from harness.decode.registry import choice_class, find_strategy, is_safe, strategies

from .support import PATTERNS, decode, make_workload

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="no CUDA GPU: the CUDA runtime is not exercised here"
)

SAFE = [s.name for s in strategies() if is_safe(s) and s.allocator == "default"]


@pytest.fixture(scope="module")
def cuda():
    from harness.runtime.cuda import CudaRuntime

    return CudaRuntime()


@pytest.fixture(scope="module")
def model(cuda):
    return models.load_model(make_workload(max_new_tokens=50), cuda.device)


@pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS)
@pytest.mark.parametrize("name", SAFE)
def test_tokens_equal_the_synchronous_loops(name, pattern, cuda, model):
    reason = unavailable_reason(find_strategy(name), "cuda")
    if reason:
        pytest.skip(f"{name}: {reason}")
    workload = make_workload(pattern, device="cuda")
    expected, _ = decode("kv-cache", workload, cuda, model)
    generation, decoder = decode(name, workload, cuda, model)
    assert torch.equal(generation.tokens, expected.tokens)
    assert torch.equal(decoder.run().tokens, expected.tokens), "the second run differs"


@pytest.mark.parametrize("name", [s.name for s in strategies() if s.engine == "loop"])
def test_no_synchronisation_but_those_declared(name, cuda, model):
    strategy = find_strategy(name)
    if unavailable_reason(strategy, "cuda"):
        pytest.skip(f"{name}: {unavailable_reason(strategy, 'cuda')}")
    workload = make_workload(device="cuda", every_k=4)
    _, decoder = decode(strategy, workload, cuda, model)
    with warnings.catch_warnings(record=True) as caught, torch.inference_mode():
        warnings.simplefilter("always")
        decoder._begin()
        cuda.synchronize()
        cuda.counters.reset()
        torch.cuda.set_sync_debug_mode("warn")
        try:
            executed, _ = decoder._loop(workload.max_new_tokens, None, stops=True)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    seen = [
        str(found.message) for found in caught if "called a synchronizing" in str(found.message)
    ]
    stop = choice_class("stop_check", strategy.stop_check)(workload)
    cache = choice_class("cache", strategy.cache)
    hidden = cache.reads_per_prefill
    if strategy.execution == "eager":
        hidden += cache.reads_per_step * (executed - 1)
    assert len(seen) == stop.expected_reads(executed) + hidden
    assert cuda.counters.event_waits == stop.expected_event_waits(executed)


def late_flags(cuda, cycles):
    """A runtime whose flag copies wait behind a kernel that sleeps."""
    from harness.runtime.cuda import CudaFlag, CudaRuntime

    class LateFlag(CudaFlag):
        def copy_from(self, value):
            torch.cuda._sleep(cycles)
            super().copy_from(value)

    class LateRuntime(CudaRuntime):
        def new_flag(self):
            return LateFlag(self.counters)

    return LateRuntime()


def test_a_late_flag_copy_makes_the_published_loop_overrun(cuda, model):
    workload = make_workload((2, 3, 1, 2), device="cuda", max_new_tokens=40, warmup_steps=0)
    expected, _ = decode("kv-cache", workload, cuda, model)
    late = late_flags(cuda, cycles=50_000_000)  # tens of milliseconds; a step takes about one
    for name in ("pipelined", "pipelined-static", "deferred", "cuda-graph-deferred"):
        generation, _ = decode(name, workload, late, model)
        assert torch.equal(generation.tokens, expected.tokens), name
        assert generation.overshoot == 1, name
    published, _ = decode("pipelined-published", workload, late, model)
    assert published.overshoot > 1
    assert not torch.equal(published.tokens, expected.tokens)


def test_sampling_in_a_graph_draws_afresh_each_step(cuda, model):
    workload = make_workload(device="cuda", temperature=1.0, max_new_tokens=20)
    generation, _ = decode("cuda-graph", workload, cuda, model)
    assert len(generation.tokens[0, 6:].unique()) > 3


def test_device_times_and_memory(cuda, model):
    cuda.reset_peak_memory()
    generation, _ = decode("kv-cache", make_workload(device="cuda"), cuda, model)
    assert 0 < generation.decode_ns <= generation.wall_ns
    memory = cuda.memory_statistics()
    assert 0 < memory["peak_allocated_bytes"] <= memory["peak_reserved_bytes"]
    assert cuda.facts()["memory_bytes"] > memory["peak_reserved_bytes"]


@pytest.mark.parametrize("allocator", ["default", "expandable"])
def test_the_allocators_setting_reaches_cuda(allocator):
    code = (
        "import sys; from harness.target import main; sys.argv = ['target', *sys.argv[1:]];"
        "import atexit; atexit.register(lambda: print(__import__('torch').cuda.memory"
        "._snapshot()['allocator_settings']['expandable_segments'])); main()"
    )
    argv = ["--strategy=kv-cache", "--model=tiny", "--steps=none", "--quiet", "--result=-"]
    done = subprocess.run(
        [sys.executable, "-c", code, *argv, f"--allocator={allocator}", "--device=cuda"],
        capture_output=True,
        text=True,
        check=True,
    )
    *_, line, setting = done.stdout.splitlines()
    assert setting == str(allocator == "expandable")
    assert json.loads(line)["runtime"] == "cuda"


def test_a_bigger_model_agrees_in_every_strategy(cuda):
    """GPT-2 in full, tokens compared up to near-ties: at the first difference the two best logits
    must lie within what the kernels differ by."""
    workload = make_workload(device="cuda", model="gpt2", max_new_tokens=40, eos_id=-1)
    workload = dataclasses.replace(workload, force_eos_at=None)
    gpt2 = models.load_model(workload, cuda.device)
    expected, _ = decode("kv-cache", workload, cuda, gpt2)
    for name in ("baseline", "static-cache", "pipelined", "cuda-graph-deferred", "device-loop"):
        found, _ = decode(name, workload, cuda, gpt2)
        different = (found.tokens != expected.tokens).nonzero()
        if not len(different):
            continue
        column = int(different[:, 1].min())
        rows = expected.tokens[:, :column].to(cuda.device)
        with torch.inference_mode():
            best = gpt2(rows, use_cache=False).logits[:, -1].topk(2).values
        row = int(different[different[:, 1] == column][0, 0])
        assert float(best[row, 0] - best[row, 1]) < 1e-3, name
