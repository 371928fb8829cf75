"""A model's forward pass by its shapes alone: the operations, without the arithmetic.

The model is built on PyTorch's meta device, where operations have shapes and no data. The decode
loop's own tensors stay real: it gets logits that choose a made-up token, so that stop checks,
forced ends and trimming work as they do. What the forward pass asks the device (is the input
packed?) has no answer in shapes; it is asked once of the same model with one row and weights of 0.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import _disable_current_modes

from ..decode.errors import ModelNotLoaded
from ..decode.models import BUILT_IN, check_length
from ..decode.workload import Workload
from .costs import Op
from .dispatch import READ_OPS, Recorder
from .family import Family

SMALL = 5_000_000
"""Models up to this many parameters are computed for real."""


def build_meta(workload: Workload) -> Any:
    """The model on the meta device: shapes and no weights. From a hub id only its configuration is
    needed. Raises HarnessError where there is none."""
    from transformers import AutoConfig, AutoModelForCausalLM

    if workload.model in BUILT_IN:
        config = BUILT_IN[workload.model]()
    else:
        try:
            # Unless told not to run a model's own code, transformers asks on stdout, and waits.
            config = AutoConfig.from_pretrained(workload.model, trust_remote_code=False)
        except Exception as error:  # transformers raises whatever its loader or the network raised
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ModelNotLoaded(
                f"cannot load the configuration of {workload.model!r}: {first}",
                remedy=f"use one of {', '.join(BUILT_IN)} or a folder with config.json",
            ) from error
    check_length(workload, config)
    config.pad_token_id = None
    dtype = getattr(torch, workload.dtype)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    model.config.pad_token_id = None
    return model.eval().requires_grad_(False)


def parameters(model: Any) -> int:
    """How many numbers it has, tied ones once."""
    return sum(p.numel() for p in model.parameters())


def hollow(meta: Any) -> Any:
    """The same model on the CPU with weights of zero that take no memory."""
    import copy

    model = copy.deepcopy(meta)

    def emptied(tensor: torch.Tensor) -> torch.Tensor:
        return torch.zeros(1, dtype=tensor.dtype).expand(tensor.shape)

    for module in model.modules():
        for name, value in list(module._parameters.items()):
            if value is not None:
                module._parameters[name] = torch.nn.Parameter(emptied(value), requires_grad=False)
        for name, value in list(module._buffers.items()):
            if value is not None:
                module._buffers[name] = emptied(value)
    return model


class ShapeForward:
    """Stands in for the forward pass of a hollow model; tells `sink` each operation."""

    def __init__(self, meta: Any, eos_id: int) -> None:
        self.meta = meta
        self.model = hollow(meta)
        self.real_forward = type(self.model).forward.__get__(self.model)
        self.sink: Callable[[Op], None] = lambda _: None
        self.begin: Callable[..., None] = lambda **_: None
        self.forwards = 0
        self.last_ops: tuple[Op, ...] = ()
        self._known: dict[Any, tuple[Op, ...]] = {}
        self._families: dict[Any, Family] = {}
        self._answers: dict[bool, list[Any]] = {}
        self._token = 1 if eos_id == 0 else 0
        self._logits: dict[tuple[int, torch.dtype], torch.Tensor] = {}

        @functools.wraps(self.real_forward)
        def forward(*args: Any, **kwargs: Any) -> Any:
            return self._forward(*args, **kwargs)

        self.model.forward = forward

    def _forward(self, *args: Any, **kwargs: Any) -> Any:
        from transformers.modeling_outputs import CausalLMOutputWithPast

        ids = args[0] if args else kwargs["input_ids"]
        cache: Any = kwargs.get("past_key_values")
        started = bool(getattr(cache, "layers", None)) and cache.layers[0].is_initialized
        self.begin(fresh=type(cache).__name__ == "DynamicCache" and not started)
        with _disable_current_modes():
            ops = self.operations(ids, kwargs)
            logits = self._made_up(ids, kwargs)
        self.last_ops = ops
        for op in ops:
            self.sink(op)
        return CausalLMOutputWithPast(logits=logits, past_key_values=cache)

    def operations(self, ids: torch.Tensor, kwargs: dict[str, Any]) -> tuple[Op, ...]:
        """The operations of one forward pass; runs it on the meta device unless the same was."""
        cache: Any = kwargs.get("past_key_values")
        shapes = tuple(
            (name, tuple(v.shape) if isinstance(v, torch.Tensor) else v)
            for name, v in sorted(kwargs.items())
            if name not in ("past_key_values", "input_ids")
        )
        kind, length = _growing(cache, ids)
        if kind == "fixed":
            # Fixed shapes: what is in the cache makes no difference.
            key = (tuple(ids.shape), tuple(cache.layers[0].keys.shape), shapes)
            if key not in self._known:
                self._known[key] = self._record(ids, kwargs)
            return self._known[key]
        if kind == "other":
            return self._record(ids, kwargs)
        batch, new = ids.shape
        family = self._families.setdefault(
            (kind, batch, new if kind == "dynamic" else 0, shapes), Family()
        )
        ops = family.at(length)
        if ops is None:
            ops = self._record(ids, kwargs)
            family.add(length, ops)
        elif cache is not None:
            _grow(cache, new)
        return ops

    def _record(self, ids: torch.Tensor, kwargs: dict[str, Any]) -> tuple[Op, ...]:
        """Run the model on the meta device."""
        given = {name: _meta(value) for name, value in kwargs.items() if name != "input_ids"}
        ops: list[Op] = []
        answers = iter(self._known_answers(ids, kwargs))

        def answer(tensor: Any) -> Any:
            return next(answers, False)

        recorder = Recorder(ops.append, answer)
        with torch.inference_mode(), recorder:
            self.meta(_meta(ids), **given)
        recorder.forget()
        self.forwards += 1
        return tuple(ops)

    def _known_answers(self, ids: torch.Tensor, kwargs: dict[str, Any]) -> list[Any]:
        """What a forward pass of this kind reads from the device, from one with a single row."""
        from transformers import DynamicCache

        cached = kwargs.get("past_key_values") is not None
        if cached not in self._answers:
            given = {
                name: value[:1] if isinstance(value, torch.Tensor) else value
                for name, value in kwargs.items()
                if name not in ("input_ids", "past_key_values")
            }
            if cached:
                given["past_key_values"] = DynamicCache(config=self.model.config)
                given.pop("attention_mask", None)
            asked = _Answers()
            with torch.inference_mode(), asked:
                self.real_forward(ids[:1], **given)
            self._answers[cached] = asked.values
        return self._answers[cached]

    def _made_up(self, ids: torch.Tensor, kwargs: dict[str, Any]) -> torch.Tensor:
        batch, length = ids.shape
        dtype = next(self.model.parameters()).dtype
        if (batch, dtype) not in self._logits:
            row = torch.zeros(batch, 1, self.model.config.vocab_size, dtype=dtype)
            row[..., self._token] = 1
            self._logits[batch, dtype] = row
        kept = kwargs.get("logits_to_keep", 0)
        return self._logits[batch, dtype].expand(batch, min(kept or length, length), -1)


class _Answers(torch.utils._python_dispatch.TorchDispatchMode):  # type: ignore[misc]  # torch is not followed
    """Remembers the values that are read from tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.values: list[Any] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in READ_OPS:
            value = func(*args, **(kwargs or {}))
            self.values.append(value)
            return value
        if func._can_decompose():
            with self:
                result = func.decompose(*args, **(kwargs or {}))
            if result is not NotImplemented:
                return result
        return func(*args, **(kwargs or {}))


def _growing(cache: Any, ids: torch.Tensor) -> tuple[str, int]:
    """What the work of this pass depends on: `fixed` shapes, a `dynamic` cache of some length,
    `none` (the sequence itself), or `other`, which nothing is known of."""
    if cache is None:
        return "none", ids.shape[1]
    kind = type(cache).__name__
    layers = list(getattr(cache, "layers", []))
    started = bool(layers) and getattr(layers[0], "keys", None) is not None
    if kind == "StaticCache" and started:
        return "fixed", 0
    plain = all(type(layer).__name__ == "DynamicLayer" for layer in layers)
    if kind == "DynamicCache" and started and plain:
        return "dynamic", int(layers[0].keys.shape[-2])
    return "other", 0


def _grow(cache: Any, new: int) -> None:
    """What the pass would have done to the cache, by shape."""
    for layer in cache.layers:
        for name in ("keys", "values"):
            held = getattr(layer, name)
            shape = (*held.shape[:-2], held.shape[-2] + new, held.shape[-1])
            setattr(layer, name, torch.empty(shape, dtype=held.dtype, device="meta"))


def _meta(value: Any) -> Any:
    if isinstance(value, torch.Tensor) and value.device.type != "meta":
        return torch.empty_like(value, device="meta")
    return value
