"""The real decode loop on a simulated GPU: same tokens, and times that keep the laws."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="simulating needs torch (pip install '.[strategies]')")

from harness.analysis.analyze import analyze
from harness.analysis.gains.gpu import load_gpu
from harness.analysis.predict.figures import steady_of
from harness.decode.availability import not_simulated
from harness.decode.registry import host_syncs_of, strategies, strategy_names
from harness.errors import HarnessError

from .conftest import changed, run

SIMULATED = [s.name for s in strategies() if not not_simulated(s)]
LOOPS = [s for s in strategies() if s.engine == "loop"]
EXAMPLES = (
    "deferred", "pipelined", "every-k", "no-stop-check", "static-cache", "baseline",
    "cuda-graph-deferred", "pipelined-compiled",
)  # fmt: skip


@pytest.mark.parametrize(
    ("gpu", "pattern"), [("h100", "2,7,4,9"), ("slow", "2,7,4,9"), ("slow", "0"), ("slow", "never")]
)
def test_safe_strategies_give_the_tokens_of_the_synchronous_loop(gpu, pattern):
    fields = {"force_eos_at": pattern, "eos_id": 127, "steps": None, "max_new_tokens": 12}
    expected = run("kv-cache", **fields).result["tokens"]
    for name in EXAMPLES:
        done = run(name, gpu, **fields)
        assert done.result["tokens"] == expected, name
        assert done.runtime.races == []


@pytest.mark.parametrize("name", SIMULATED)
def test_every_strategy_makes_a_trace_that_adds_up(name, tmp_path):
    done = run(name)
    path = tmp_path / "t.sqlite"
    done.write(path)
    report = analyze(path)
    assert report.trace.source.origin == "simulated"
    assert report.trace.source.producer.endswith("sim")
    assert "(simulated)" in report.trace.devices[0].name
    assert report.trace.source.strategy == name
    (device,) = report.devices
    assert device.busy_ns + device.idle_ns == device.window_ns
    assert sum(device.causes.values()) == device.idle_ns
    (series,) = report.series
    assert len(series.table) == 10
    assert series.dead_steps == ()
    assert not [v for v in report.verdicts if v.level == "invalid"]


def test_what_cannot_be_simulated_says_so():
    left_out = set(strategy_names()) - set(SIMULATED)
    assert left_out == {"hf-generate-deferred", "device-loop"}
    for name in left_out:
        with pytest.raises(HarnessError, match="cannot be simulated"):
            run(name)


@pytest.mark.parametrize("strategy", LOOPS, ids=lambda s: s.name)
def test_the_declared_synchronisations_are_those_that_happen(strategy):
    done = run(strategy.name)
    calls = [c for c in done.log.calls if c.name.startswith(("cudaStreamSync", "cudaEventSync"))]
    declared = host_syncs_of(strategy, 8)
    expected = 10 * (declared.reads + declared.event_waits)
    assert len(calls) == pytest.approx(expected, abs=1)


@pytest.mark.parametrize(
    ("cache", "execution"),
    [("none", "eager"), ("dynamic", "eager"), ("dynamic", "compile"), ("static", "eager"),
     ("static", "compile"), ("static", "cuda-graph")],
)  # fmt: skip
@pytest.mark.parametrize("gpu", ["h100", "slow"])
def test_never_looking_is_a_lower_bound(cache, execution, gpu):
    common = {"cache": cache, "execution": execution, "max_new_tokens": 10, "steps": (3, 7)}
    least = run("no-stop-check", gpu, **common).result["times"]["generate_ns"]
    for check in ("sync", "deferred", "pingpong", "every-k"):
        took = run("no-stop-check", gpu, stop_check=check, **common).result["times"]["generate_ns"]
        assert took >= least, check


@pytest.mark.parametrize("name", ["baseline", "kv-cache", "pipelined", "cuda-graph", "compiled"])
def test_more_bandwidth_is_never_slower(name):
    from harness.decode.workload import Workload
    from harness.simgpu.run import simulate

    workload = Workload(
        strategy=name, model="tiny", device="cpu", batch_size=8, max_new_tokens=10, steps=(4, 10),
        eos_id=-1, warmup_steps=1,
    )  # fmt: skip
    took = []
    for factor in (1e-4, 1e-3, 1.0, 10.0):
        gpu = changed(load_gpu("h100"), memory_bytes_per_s=3.35e12 * factor)
        took.append(simulate(workload, gpu).result["times"]["generate_ns"])
    assert took == sorted(took, reverse=True)
    assert took[0] > took[-1]


def test_compiling_fuses_and_a_graph_is_one_launch():
    eager, fused, graph = (run(n).log for n in ("static-cache", "compiled", "cuda-graph"))
    assert len(fused.operations) < 0.7 * len(eager.operations)
    assert any(op.name.startswith("fused_") for op in fused.operations)
    launches = [c for c in graph.calls if c.name.startswith("cudaGraphLaunch")]
    assert len(launches) == 10
    nodes = [op for op in graph.operations if op.graph is not None]
    assert len(nodes) == len([op for op in eager.operations if op.kind == "kernel"])


def test_a_graph_as_one_row():
    from harness.decode.workload import Workload
    from harness.simgpu.run import simulate

    workload = Workload(
        strategy="cuda-graph", model="tiny", device="cpu", batch_size=2, max_new_tokens=12,
        steps=(4, 10), eos_id=-1, warmup_steps=1,
    )  # fmt: skip
    log = simulate(workload, load_gpu("h100"), whole_graphs=True).log
    assert {op.kind for op in log.operations} == {"graph", "copy"}


def test_the_pipelined_loop_uses_two_streams_and_waits_across_them():
    log = run("pipelined").log
    kernels = {op.stream for op in log.operations}
    assert len(kernels) == 2
    assert 7 not in kernels
    assert any(wait.kind == "stream-wait" for wait in log.waits)


def test_kernels_are_called_as_the_aten_operation():
    names = {op.name for op in run("kv-cache").log.operations}
    assert {"aten::addmm", "aten::native_layer_norm", "aten::argmax", "value"} <= names


def test_values_by_shapes_alone_ask_for_the_same_work():
    real, shapes = run("kv-cache", values="real"), run("kv-cache", values="shapes")
    assert (real.values, shapes.values) == ("real", "shapes")
    assert [op.name for op in real.log.operations] == [op.name for op in shapes.log.operations]
    a, b = steady_of(real.log), steady_of(shapes.log)
    assert b.period_ns == pytest.approx(a.period_ns, rel=0.01)
    assert b.busy_ns == pytest.approx(a.busy_ns, rel=0.01)


@pytest.mark.parametrize("name", ["baseline", "static-cache", "compiled", "hf-generate"])
def test_shapes_and_values_agree_for_every_cache(name):
    real, shapes = run(name, values="real"), run(name, values="shapes")
    assert steady_of(shapes.log).busy_ns == pytest.approx(steady_of(real.log).busy_ns, rel=0.02)
    reads = [sum(c.name.startswith("cudaStreamSync") for c in r.log.calls) for r in (real, shapes)]
    assert reads[0] == reads[1]


def test_the_cost_without_a_cache_grows_with_the_sequence():
    # GPT-2's shapes at batch 32, article: quadratic without a cache, linear with it.
    def busy(name, tokens):
        fields = {"model": "gpt2", "batch_size": 32, "prompt_length": tokens, "warmup_steps": 0}
        done = run(name, "l40s", max_new_tokens=4, steps=(0, 4), values="shapes", **fields)
        return steady_of(done.log).busy_ns

    short, long = busy("baseline", 100), busy("baseline", 400)
    assert 3.5 < long / short < 4.5
    # One step reads (and, growing, copies) the cache so far: a small part beside the weights.
    assert busy("kv-cache", 400) < 2.5 * busy("kv-cache", 100)


@pytest.mark.parametrize("model", ["llama-tiny", "qwen2-tiny", "qwen-tiny"])
def test_other_models_run(model):
    assert len(run("pipelined", model=model).log.operations) > 10 * 20
    assert len(run("pipelined", model=model, values="shapes").log.operations) > 10 * 20


AS_RECORDED = {
    "model": "gpt2", "batch_size": 16, "prompt_length": 16, "max_new_tokens": 100,
    "steps": (30, 50), "warmup_steps": 8,
}  # fmt: skip


def test_memory_is_that_of_a_real_run():
    # GPT-2 at batch 16 on an H100, measured by PyTorch's allocator: 790 MB reserved, 669 MB
    # allocated at the end, with cuBLAS's workspaces, which are not simulated.
    memory = run("kv-cache", **AS_RECORDED).result["memory"]
    assert memory["peak_reserved_bytes"] == pytest.approx(790e6, rel=0.15)
    assert memory["allocated_bytes"] == pytest.approx(669e6, rel=0.1)


def test_two_streams_have_memory_of_their_own():
    one, two = (run(name, **AS_RECORDED).result["memory"] for name in ("kv-cache", "pipelined"))
    assert two["peak_reserved_bytes"] > 1.1 * one["peak_reserved_bytes"]
    assert two["allocated_bytes"] == pytest.approx(one["allocated_bytes"], rel=0.01)


def test_a_growing_cache_calls_the_driver_and_a_fixed_one_does_not():
    calls = {
        name: sum(c.name.startswith("cudaMalloc") for c in run(name, **AS_RECORDED).log.calls)
        for name in ("kv-cache", "pipelined", "static-cache")
    }
    # Recorded on an H100 over the same steps: 2, 4 and none.
    assert calls["static-cache"] == 0
    assert 1 <= calls["kv-cache"] <= calls["pipelined"] <= 6


def test_expandable_segments_map_pages():
    log = run("kv-cache-expandable", **{**AS_RECORDED, "steps": (0, 100)}).log
    names = {call.name for call in log.calls}
    assert "cuMemMap" in names
    assert "cudaMalloc_v3020" not in names


def test_too_much_for_the_device_is_said():
    from harness.decode.workload import Workload
    from harness.simgpu.run import simulate

    workload = Workload(
        strategy="static-cache", batch_size=8, max_new_tokens=20, steps=(5, 10), device="cpu",
        eos_id=-1, warmup_steps=1,
    )  # fmt: skip
    small = changed(load_gpu("h100"), memory_bytes=510e6)
    with pytest.raises(HarnessError, match=r"out of memory: .* GB of weights"):
        simulate(workload, small)
