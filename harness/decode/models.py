"""Models and prompts: built-in configurations with random weights, or anything from_pretrained."""

from __future__ import annotations

import contextlib
import io
import logging
from typing import TYPE_CHECKING, Any

import torch

from .errors import BadForcedEos, ModelNotLoaded, NotInVocabulary, PromptTooLong
from .state import NO_EOS
from .workload import Workload, eos_schedule

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

# Two layers and a vocabulary of 128: a step takes about a millisecond on one CPU core.
_TINY = {"vocab_size": 128, "bos_token_id": 126, "eos_token_id": 127}
_TINY_ROTARY = {
    **_TINY,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "pad_token_id": None,
}


def _gpt2() -> PreTrainedConfig:
    from transformers import GPT2Config

    return GPT2Config()


def _tiny() -> PreTrainedConfig:
    from transformers import GPT2Config

    # Weights wide enough that the tokens keep changing: a wrong cache must show in them.
    return GPT2Config(
        **_TINY, n_positions=512, n_embd=32, n_layer=2, n_head=4, initializer_range=0.5
    )


def _llama_tiny() -> PreTrainedConfig:
    from transformers import LlamaConfig

    return LlamaConfig(**_TINY_ROTARY)


def _qwen2_tiny() -> PreTrainedConfig:
    from transformers import Qwen2Config

    return Qwen2Config(**_TINY_ROTARY)


def _qwen_tiny() -> PreTrainedConfig:
    from transformers import Qwen3Config

    return Qwen3Config(**_TINY_ROTARY, head_dim=8)


BUILT_IN = {
    "gpt2": _gpt2,
    "tiny": _tiny,
    "llama-tiny": _llama_tiny,
    "qwen2-tiny": _qwen2_tiny,
    "qwen-tiny": _qwen_tiny,
}


def load_model(workload: Workload, device: torch.device) -> Any:
    """The causal language model of `workload`, in evaluation mode on `device`.

    A built-in configuration gets random weights drawn on the CPU from `seed`, so they are the same
    on every device. `config.pad_token_id` is emptied: with it set, and no mask, every eager forward
    pass reads the device. Raises HarnessError when a path or hub id cannot be loaded, UsageError
    when the sequence does not fit.
    """
    if workload.model in BUILT_IN:
        from transformers import AutoModelForCausalLM

        config = BUILT_IN[workload.model]()
        check_length(workload, config)
        torch.manual_seed(workload.seed)
        model = AutoModelForCausalLM.from_config(config)
    else:
        model = _pretrained(workload.model)
        check_length(workload, model.config)
    model.config.pad_token_id = None
    dtype = getattr(torch, workload.dtype)
    return model.to(device=device, dtype=dtype).eval().requires_grad_(False)


def _pretrained(name: str) -> Any:
    from transformers import AutoModelForCausalLM

    try:
        # What is on disk needs no network; only what is not there asks for it. Unless told not to
        # run a model's own code, transformers asks on stdout, and waits for an answer.
        for local in (True, False):
            with contextlib.suppress(OSError) if local else contextlib.nullcontext(), _quiet():
                return AutoModelForCausalLM.from_pretrained(
                    name, local_files_only=local, trust_remote_code=False
                )
    except Exception as error:  # transformers raises whatever its loader or the network raised
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelNotLoaded(
            f"cannot load the model {name!r}: {first}",
            remedy=f"use one of {', '.join(BUILT_IN)}, a folder with config.json and weights, "
            "or a hub id with a network",
        ) from error
    raise AssertionError("unreachable")


@contextlib.contextmanager
def _quiet() -> Any:
    """Keep progress bars and warnings of a loader that may fail off stderr."""
    loggers = [logging.getLogger(name) for name in ("transformers", "huggingface_hub")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def check_length(workload: Workload, config: Any) -> None:
    """Raise UsageError when prompt and new tokens do not fit the model's positions."""
    prompt = len(workload.prompt_tokens) if workload.prompt_tokens else workload.prompt_length
    positions = getattr(config, "max_position_embeddings", None)
    total = prompt + workload.max_new_tokens
    if positions is not None and total > positions:
        raise PromptTooLong(
            f"{prompt} prompt tokens and {workload.max_new_tokens} new ones make {total}, "
            f"the model has {positions} positions",
            remedy=f"use --max-new-tokens {positions - prompt} or less"
            if prompt < positions
            else "use a shorter prompt",
        )


def make_prompt(workload: Workload, model: Any, device: torch.device) -> torch.Tensor:
    """int64 [batch, prompt_length] on `device`. Raises UsageError for an id the model lacks."""
    vocabulary = model.config.vocab_size
    if workload.prompt_tokens:
        unknown = [token for token in workload.prompt_tokens if not 0 <= token < vocabulary]
        if unknown:
            raise NotInVocabulary(
                f"--prompt-tokens has {unknown[0]}, the vocabulary ends at {vocabulary - 1}",
                remedy="use ids of this model",
            )
        rows = torch.tensor([workload.prompt_tokens]).repeat(workload.batch_size, 1)
    else:
        generator = torch.Generator().manual_seed(workload.seed)
        shape = (workload.batch_size, workload.prompt_length)
        rows = torch.randint(vocabulary, shape, generator=generator)
    return rows.to(device)


def find_eos(workload: Workload, model: Any) -> int:
    """The end token: as asked, else the model's (the first, if it has several), else NO_EOS.

    Raises UsageError for an id outside the vocabulary, and when an end is to be forced without one.
    """
    eos = workload.eos_id
    if eos is None:
        eos = model.config.eos_token_id
        if isinstance(eos, list | tuple):
            eos = eos[0] if eos else None
        if eos is None:
            eos = NO_EOS
    if not NO_EOS <= eos < model.config.vocab_size:
        raise NotInVocabulary(
            f"--eos-id is {eos}, the vocabulary ends at {model.config.vocab_size - 1}",
            remedy="use a token of this model, or -1 for none",
        )
    if eos == NO_EOS and any(step is not None for step in eos_schedule(workload) or ()):
        raise BadForcedEos("the model has no end-of-sequence token to force")
    return eos
