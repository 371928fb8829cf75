"""`decode.run` from Python: what is asked for, and a model that is handed in."""

import pytest
import torch

from harness import decode
from harness.decode import models
from harness.errors import UsageError

from .support import NEW, PROMPT
from .test_host_syncs import ScalarReads

CPU = torch.device("cpu")
SMALL = {"device": "cpu", "batch_size": 2, "prompt_length": PROMPT, "max_new_tokens": NEW}


@pytest.fixture
def model():
    """One of its own, with the settings of a published model."""
    found = models.load_model(decode.Workload(model="llama-tiny"), CPU)
    found.config.pad_token_id = 0
    found.generation_config.repetition_penalty = 1.8
    found.generation_config.eos_token_id = 127
    return found


def test_fields_beside_a_whole_workload_count():
    whole = decode.Workload("deferred", model="tiny", steps=None, **SMALL)
    _, result = decode.run(whole, batch_size=3, seed=4)
    assert result["strategy"] == "deferred"
    asked = result["workload"]
    assert (asked["batch_size"], asked["seed"], asked["model"]) == (3, 4, "tiny")
    assert decode.run(whole, model="qwen-tiny")[1]["workload"]["model"] == "qwen-tiny"


def test_a_model_that_is_handed_in_is_named_and_left_as_it_was(model):
    with ScalarReads() as reads:
        _, result = decode.run("no-stop-check", model=model, **SMALL)
    assert result["workload"]["model"] == "LlamaForCausalLM"
    assert reads.count == 0
    assert model.config.pad_token_id == 0


def test_what_the_model_would_have_generate_do_does_not_come_in(model):
    ours, _ = decode.run("kv-cache", model=model, **SMALL)
    theirs, _ = decode.run("hf-generate", model=model, **SMALL)
    assert torch.equal(ours.tokens, theirs.tokens)
    kept = model.generation_config
    assert (kept.repetition_penalty, kept.eos_token_id) == (1.8, 127)


def test_a_sequence_that_does_not_fit_a_model_that_is_handed_in(model):
    with pytest.raises(UsageError, match="the model has 512 positions"):
        decode.run("kv-cache", model=model, **SMALL | {"max_new_tokens": 600})


def test_a_device_that_is_none_does_not_mean_the_cpu():
    with pytest.raises(UsageError, match="--device is 'cuda:0'; use auto, cpu, cuda"):
        decode.run("kv-cache", model="tiny", **SMALL | {"device": "cuda:0"})


def test_a_flag_that_nobody_looks_at_has_no_slot():
    asked = decode.Workload("deferred", model="tiny", lag=2**40, **SMALL, steps=None)
    generation, result = decode.run(asked)
    assert result["host_waits"]["event_waits"] == 0
    assert generation.steps_executed == NEW
