"""Models, prompts and end tokens: the same everywhere, and refused in one line."""

import pytest
import torch

from harness.decode import models
from harness.decode.workload import Workload
from harness.errors import HarnessError, UsageError
from harness.simgpu.forward import build_meta

from .support import decode, make_workload, reference, tiny_model

CPU = torch.device("cpu")


def test_the_default_is_gpt2_in_full():
    config = models.BUILT_IN["gpt2"]()
    assert (config.n_layer, config.n_head, config.n_embd) == (12, 12, 768)
    assert (config.vocab_size, config.n_positions) == (50257, 1024)


def test_weights_and_prompt_follow_the_seed():
    def checksum(seed):
        workload = Workload(model="tiny", seed=seed)
        model = models.load_model(workload, CPU)
        weights = sum(float(p.double().abs().sum()) for p in model.parameters())
        return weights, models.make_prompt(workload, model, CPU).tolist()

    assert checksum(1) == checksum(1)
    assert checksum(1)[0] != checksum(2)[0]
    assert checksum(1)[1] != checksum(2)[1]


@pytest.mark.parametrize("name", [name for name in models.BUILT_IN if name != "gpt2"])
def test_a_model_is_ready_to_decode(name):
    model = tiny_model(name)
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert model.config.pad_token_id is None
    assert model.config.eos_token_id == 127


def test_the_dtype_is_taken():
    model = models.load_model(Workload(model="tiny", dtype="bfloat16"), CPU)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}


def test_given_prompt_tokens_are_every_rows():
    workload = Workload(model="tiny", batch_size=3, prompt_tokens=(5, 6, 7))
    prompt = models.make_prompt(workload, tiny_model(), CPU)
    assert prompt.tolist() == [[5, 6, 7]] * 3


def test_a_local_folder_is_a_model_and_its_pad_token_is_emptied(tmp_path):
    saved = models.load_model(Workload(model="tiny"), CPU)
    saved.config.pad_token_id = 0
    saved.save_pretrained(tmp_path)
    workload = make_workload((2, 7, None, 9), model=str(tmp_path))
    model = models.load_model(workload, CPU)
    assert model.config.pad_token_id is None
    generation, _ = decode("static-cache", workload, model=model)
    assert torch.equal(generation.tokens, reference(workload, tiny_model()))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: models.load_model(Workload(model="tiny", max_new_tokens=600), CPU), "512"),
        (
            lambda: models.make_prompt(Workload(prompt_tokens=(128,)), tiny_model(), CPU),
            "vocabulary ends at 127",
        ),
        (lambda: models.find_eos(Workload(eos_id=128), tiny_model()), "vocabulary ends at 127"),
        (lambda: models.find_eos(Workload(eos_id=-2), tiny_model()), "--eos-id is -2"),
    ],
)
def test_what_does_not_fit_is_a_usage_error(call, message):
    with pytest.raises(UsageError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_the_end_token():
    assert models.find_eos(Workload(), tiny_model()) == 127
    assert models.find_eos(Workload(eos_id=3), tiny_model()) == 3
    assert models.find_eos(Workload(eos_id=-1), tiny_model()) == -1


@pytest.mark.parametrize(("eos", "found"), [([5, 6], 5), (None, -1), ([], -1)])
def test_the_end_token_of_other_configurations(eos, found, monkeypatch):
    model = tiny_model()
    monkeypatch.setattr(model.config, "eos_token_id", eos)
    assert models.find_eos(Workload(), model) == found
    if found == -1:
        with pytest.raises(UsageError, match="no end-of-sequence token"):
            models.find_eos(Workload(force_eos_at="3"), model)


def test_a_folder_without_a_model_is_one_line(tmp_path, capfd):
    with pytest.raises(HarnessError, match="cannot load the model") as caught:
        models.load_model(Workload(model=str(tmp_path)), CPU)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_a_hub_id_without_a_network_is_one_line(monkeypatch, capfd):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(HarnessError, match="cannot load the model 'nobody/nothing'") as caught:
        models.load_model(Workload(model="nobody/nothing"), CPU)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("prompt", "remedy"), [(500, "--max-new-tokens 12 or less"), (512, "a shorter prompt")]
)
def test_what_would_fit_is_said(prompt, remedy):
    workload = Workload(model="tiny", prompt_length=prompt, max_new_tokens=50)
    with pytest.raises(UsageError, match="the model has 512 positions") as caught:
        models.check_length(workload, models.BUILT_IN["tiny"]())
    assert caught.value.remedy == f"use {remedy}"


@pytest.mark.parametrize("token", [-3, 128])
def test_a_token_that_the_model_lacks(token):
    workload = Workload(model="tiny", prompt_tokens=(5, token))
    with pytest.raises(
        UsageError, match=f"--prompt-tokens has {token}, the vocabulary ends at 127"
    ):
        models.make_prompt(workload, tiny_model(), CPU)


@pytest.mark.parametrize("load", [lambda w: models.load_model(w, CPU), build_meta])
def test_a_models_own_code_is_neither_run_nor_asked_about(load, tmp_path, capfd):
    (tmp_path / "config.json").write_text(
        '{"model_type": "mine", "auto_map": {"AutoConfig": "mine.Mine"}}'
    )
    (tmp_path / "mine.py").write_text("raise SystemExit('run')")
    workload = Workload(model=str(tmp_path))
    with pytest.raises(HarnessError, match="custom code"):
        load(workload)
    assert capfd.readouterr().out == ""
