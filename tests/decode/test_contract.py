"""The contract of every strategy: the synchronous loop's tokens, whatever the rows' ends."""

import dataclasses

import pytest
import torch

from harness.decode.availability import unavailable_reason
from harness.decode.registry import choice_class, find_strategy, is_safe, strategies

from .support import BATCH, EOS, NEW, PATTERNS, PROMPT, decode, make_workload, reference

COMPILED = [s.name for s in strategies() if s.execution == "compile"]
PLAIN = [s.name for s in strategies() if is_safe(s) and s.name not in COMPILED]


@pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS)
@pytest.mark.parametrize("name", PLAIN)
def test_tokens_equal_the_synchronous_loops(name, pattern, fake_events):
    workload = make_workload(pattern)
    generation, _ = decode(name, workload)
    assert torch.equal(generation.tokens, reference(workload))


@pytest.fixture(scope="module")
def compiled_decoders():
    return {}


@pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS)
@pytest.mark.parametrize("name", COMPILED)
def test_compiled_tokens_equal_the_synchronous_loops(name, pattern):
    reason = unavailable_reason(find_strategy(name), "cpu")
    if reason:
        pytest.skip(f"{name}: {reason}")
    workload = make_workload(pattern)
    generation, _ = decode(name, workload)
    assert torch.equal(generation.tokens, reference(workload))


def test_every_safe_strategy_is_held_to_the_contract():
    unsafe = {s.name for s in strategies() if not is_safe(s)}
    assert unsafe == {"pipelined-published"}
    assert set(PLAIN) | set(COMPILED) | unsafe == {s.name for s in strategies()}


@pytest.mark.parametrize(
    "name", [s.name for s in strategies() if is_safe(s) and s.engine == "loop"]
)
def test_sampling_is_the_same_in_every_strategy(name):
    if find_strategy(name).execution == "compile" and unavailable_reason(
        find_strategy(name), "cpu"
    ):
        pytest.skip(f"{name}: {unavailable_reason(find_strategy(name), 'cpu')}")
    workload = make_workload((2, 7, None, 9), temperature=0.8, seed=3)
    ours, _ = decode(name, workload)
    plain, _ = decode("kv-cache", workload)
    greedy = reference(workload)
    assert torch.equal(ours.tokens, plain.tokens)
    assert not torch.equal(ours.tokens, greedy), "temperature had no effect"


@pytest.mark.parametrize("name", ["kv-cache", "deferred", "cuda-graph", "hf-generate"])
def test_rows_that_ended_emit_only_the_end_token(name):
    generation, _ = decode(name, make_workload((2, 7, 4, 9)))
    new = generation.tokens[:, PROMPT:]
    for row, step in zip(new, (2, 7, 4, 9), strict=True):
        assert (row[step:] == EOS).all()
        assert not (row[:step] == EOS).any()


@pytest.mark.parametrize(
    ("stop", "fields", "executed"),
    [
        # Rows end at 2 and 6: the synchronous loop makes 7 steps.
        ("sync", {}, 7),
        ("pingpong", {}, 8),
        ("deferred", {}, 8),
        ("deferred", {"lag": 3}, 10),
        ("deferred", {"lag": 40}, NEW),
        ("every-k", {"every_k": 4}, 8),
        ("every-k", {"every_k": 5}, 10),
        ("never", {}, NEW),
    ],
)
def test_overshoot_is_trimmed_and_reported(stop, fields, executed):
    strategy = dataclasses.replace(find_strategy("kv-cache"), stop_check=stop)
    generation, _ = decode(strategy, make_workload((2, 6), **fields))
    assert generation.steps_executed == executed
    assert generation.steps_needed == generation.steps_kept == 7
    assert generation.overshoot == executed - 7
    assert generation.tokens.shape == (2, PROMPT + 7)


def test_transformers_deferred_check_overshoots_by_one(fake_events):
    generation, _ = decode("hf-generate-deferred", make_workload((2, 6)))
    assert (generation.steps_executed, generation.steps_kept) == (8, 7)


@pytest.mark.parametrize("name", ["kv-cache", "static-cache", "cuda-graph-deferred", "hf-generate"])
def test_a_decoder_runs_again_and_again(name):
    workload = make_workload((2, 7, 4, 9))
    first, decoder = decode(name, workload)
    second = decoder.run()
    assert torch.equal(first.tokens, second.tokens)
    assert first.steps_executed == second.steps_executed


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("new", [1, 2])
def test_very_short_runs(name, new, fake_events):
    workload = make_workload(max_new_tokens=new)
    generation, _ = decode(name, workload)
    assert torch.equal(generation.tokens, reference(workload))
    assert generation.tokens.shape == (BATCH, PROMPT + new)


def test_the_static_cache_has_a_slot_for_each_token_fed_back():
    _, decoder = decode("static-cache", make_workload())
    assert {layer.max_cache_len for layer in decoder.cache.cache.layers} == {PROMPT + NEW - 1}


def test_all_combinations_of_the_choices_agree():
    workload = make_workload((2, 7, None, 9))
    expected = reference(workload)
    from harness.decode.registry import choice_names

    for cache in choice_names("cache"):
        for execution in ("eager", "cuda-graph"):
            fixed = choice_class("cache", cache).fixed_shapes
            if choice_class("execution", execution).needs_fixed_shapes and not fixed:
                continue
            for stop in choice_names("stop_check"):
                if not choice_class("stop_check", stop).safe:
                    continue
                strategy = dataclasses.replace(
                    find_strategy("kv-cache"), cache=cache, execution=execution, stop_check=stop
                )
                generation, _ = decode(strategy, workload)
                assert torch.equal(generation.tokens, expected), strategy.choices
