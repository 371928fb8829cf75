"""Watches the ATen operations of a running model and tells what each asks of a GPU.

Two modes on one stack: the function mode keeps scaled_dot_product_attention in one piece, as CUDA
runs it; the dispatch mode sees everything else after PyTorch has taken composite operations apart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import ref

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from .costs import ALLOCATE, ATTENTION, ELEMENTWISE, FREE, KERNEL, MATMUL, READ, REDUCTION, VIEW, Op

_ATEN = torch.ops.aten
READ_OPS = frozenset({_ATEN._local_scalar_dense.default, _ATEN.is_nonzero.default})
_DROPOUT = frozenset({_ATEN.dropout.default})
"""Nothing to do outside training; PyTorch's decomposition would copy."""

_NO_KERNEL = frozenset(
    {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "detach", "alias",
     "lift_fresh", "_unsafe_view", "_reshape_alias", "resize_", "set_", "is_same_size",
     "sym_size", "sym_numel", "sym_stride", "sym_storage_offset"}
)  # fmt: skip
_PRODUCTS = {
    "mm": (0, 1), "bmm": (0, 1), "addmm": (1, 2), "baddbmm": (1, 2), "addbmm": (1, 2),
    "mv": (0, 1), "addmv": (1, 2), "_addmm_activation": (1, 2),
}  # fmt: skip
_REDUCTIONS = frozenset(
    {"native_layer_norm", "native_group_norm", "_softmax", "_log_softmax", "_safe_softmax", "sum",
     "mean", "amax", "amin", "max", "min", "argmax", "argmin", "all", "any", "prod", "var",
     "var_mean", "std", "norm", "linalg_vector_norm", "cumsum", "cumprod", "logsumexp", "topk",
     "sort", "multinomial", "median", "mode", "_fused_rms_norm", "count_nonzero", "nonzero",
     "unique", "_unique2"}
)  # fmt: skip
_GATHERS = {"embedding": 0, "index_select": 0, "gather": 0, "index": 0, "take": 0}
"""Operations that read only the rows they are asked for; the position of the big tensor."""
_SCATTERS = frozenset(
    {"index_copy_", "index_copy", "index_put_", "index_put", "scatter_", "scatter", "index_add_",
     "masked_scatter_"}
)  # fmt: skip
_SLIDE = frozenset({"index_copy", "index_put", "scatter"})


class Recorder(TorchDispatchMode):  # type: ignore[misc]  # torch is not followed
    """Passes every operation on, and tells `sink` what it was, and which tensors come and go.

    `answer` supplies values of device reads where the tensors have none (meta tensors).
    """

    def __init__(
        self, sink: Callable[[Op], None], answer: Callable[[Any], Any] | None = None
    ) -> None:
        super().__init__()
        self.sink = sink
        self.answer = answer
        self._numbers: dict[int, int] = {}
        self._alive: dict[int, Any] = {}
        self._count = 0
        self.attention = _WholeAttention(self)

    def __enter__(self) -> Recorder:
        self.attention.__enter__()
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self.attention.__exit__(*error)

    def forget(self) -> None:
        """Watch no tensor any more."""
        self._numbers.clear()
        self._alive.clear()

    def number(self, tensor: torch.Tensor) -> int:
        """The same for all views of one storage, and never that of another storage."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        number = self._numbers.get(key)
        if number is None:
            number = self._count
            self._count += 1
            self._numbers[key] = number
            size = storage.nbytes()

            def gone(_: Any, key: int = key, number: int = number, size: int = size) -> None:
                if self._numbers.pop(key, None) is not None:
                    self._alive.pop(key, None)
                    self.sink(Op("free", FREE, reads=((number, size),)))

            self._alive[key] = ref(storage, gone)
        return number

    def born(self, outputs: list[torch.Tensor]) -> None:
        """Tell of the outputs whose memory was not there before."""
        for tensor in outputs:
            if tensor.untyped_storage()._cdata not in self._numbers:
                size = tensor.untyped_storage().nbytes()
                number = self.number(tensor)
                if size:
                    self.sink(Op("allocate", ALLOCATE, writes=((number, size),)))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in READ_OPS:
            self.sink(Op("aten::item", READ))
            return func(*args, **kwargs) if self.answer is None else self.answer(args[0])
        if func in _DROPOUT and not args[2]:
            self.sink(Op("aten::dropout", VIEW))
            return args[0]
        if func._can_decompose():
            with self.plain():
                taken_apart = func.decompose(*args, **kwargs)
            if taken_apart is not NotImplemented:
                return taken_apart
        result = _shape_only(func, args) if self.answer is not None else None
        if result is None:
            result = func(*args, **kwargs)
        op = self.describe(func, args, kwargs, result)
        if op is not None:
            self.sink(op)
        return result

    def plain(self) -> TorchDispatchMode:
        """This mode again, without the function mode, for what is inside a composite operation."""
        return _Inner(self)

    def describe(self, func: Any, args: Any, kwargs: Any, result: Any) -> Op | None:
        """What the operation asks of a GPU."""
        name = func._schema.name.removeprefix("aten::")
        label = f"aten::{name}"
        inputs = _tensors((args, kwargs))
        outputs = _tensors(result)
        reads = [(self.number(t), moved(t)) for t in inputs]
        if not _is_view(func):
            self.born(outputs)
        if name in _NO_KERNEL or name.startswith("sym_") or _is_view(func) or not outputs:
            return Op(label, VIEW)
        writes = [(self.number(t), moved(t)) for t in outputs]
        dtype = str(outputs[0].dtype).removeprefix("torch.")
        if name in _PRODUCTS:
            left, right = (args[k] for k in _PRODUCTS[name])
            batch = left.shape[0] if left.dim() == 3 else 1
            height = left.shape[-2] if left.dim() > 1 else 1
            width = right.shape[-1] if right.dim() > 1 else 1
            flops = 2 * batch * height * left.shape[-1] * width
            return Op(label, KERNEL, MATMUL, flops, height, dtype, tuple(reads), tuple(writes))
        if name.startswith("_scaled_dot_product"):
            return self.attention_op(label, args[0], args[1], args[2], outputs[0], inputs[3:])
        if name in _GATHERS:
            size = moved(outputs[0])
            big = _GATHERS[name]
            reads = [(n, min(s, size) if k == big else s) for k, (n, s) in enumerate(reads)]
        elif name.rstrip("_") in _SLIDE or name in _SCATTERS:
            # Only what is put in moves; the rest of the tensor stays where it is.
            source = moved(inputs[-1])
            reads = [(n, s) for (n, s), t in zip(reads, inputs, strict=True) if t is not inputs[0]]
            writes = [(writes[0][0], source)]
        elif func._schema.is_mutable and name in ("fill_", "zero_", "copy_", "exponential_"):
            reads = reads[1:]
        work = REDUCTION if name in _REDUCTIONS else ELEMENTWISE
        flops = sum(t.numel() for t in inputs[:1] or outputs[:1])
        return Op(label, KERNEL, work, flops, 0, dtype, tuple(reads), tuple(writes))

    def attention_op(
        self, label: str, query: Any, key: Any, value: Any, result: Any, rest: Any = ()
    ) -> Op:
        """Attention in one kernel: two products, and nothing in between touches memory."""
        flops = 2 * query.numel() * key.shape[-2] + 2 * query.numel() // query.shape[-1] * (
            key.shape[-2] * value.shape[-1]
        )
        reads = tuple((self.number(t), moved(t)) for t in (query, key, value, *rest))
        dtype = str(query.dtype).removeprefix("torch.")
        writes = ((self.number(result), moved(result)),)
        return Op(label, KERNEL, ATTENTION, flops, query.shape[-2], dtype, reads, writes)


class _Inner(TorchDispatchMode):  # type: ignore[misc]  # torch is not followed
    """The recorder once more on the stack, while one of its composite operations is taken apart."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self.recorder = recorder

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self.recorder.__torch_dispatch__(func, types, args, kwargs)


class _WholeAttention(TorchFunctionMode):  # type: ignore[misc]  # torch is not followed
    """Computes attention out of the recorder's sight, and tells it of one operation."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self.recorder = recorder

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is not torch.nn.functional.scaled_dot_product_attention:
            return func(*args, **kwargs)
        names = ("query", "key", "value", "attn_mask")
        given = dict(zip(names, args, strict=False)) | kwargs
        query, key, value = given["query"], given["key"], given["value"]
        mask = given.get("attn_mask")
        if query.device.type == "meta":
            with _disable_current_modes():
                result = query.new_empty((*query.shape[:-1], value.shape[-1]))
        else:
            with _disable_current_modes():
                result = func(*args, **kwargs)
        for there in (query, key, value):
            self.recorder.number(there)
        self.recorder.born([result])
        rest = (mask,) if isinstance(mask, torch.Tensor) else ()
        op = self.recorder.attention_op(
            "aten::scaled_dot_product_attention", query, key, value, result, rest
        )
        self.recorder.sink(op)
        return result


def moved(tensor: torch.Tensor) -> int:
    """Bytes that reading or writing it moves; what is expanded is read once."""
    count = 1
    for size, stride in zip(tensor.shape, tensor.stride(), strict=True):
        if stride:
            count *= size
        elif size == 0:
            return 0
    element_bytes: int = tensor.element_size()
    return int(count) * element_bytes


_SAME_TYPE = frozenset(
    {"add", "sub", "mul", "div", "neg", "tanh", "sigmoid", "silu", "gelu", "relu", "rsqrt", "pow",
     "exp", "cos", "sin"}
)  # fmt: skip
"""Pointwise operations whose result has the type of its floating-point inputs."""


def _shape_only(func: Any, args: Any) -> Any:
    """The result of an everyday operation on meta tensors, or None where PyTorch has to say.

    PyTorch works such shapes out in Python, which takes ten times as long.
    """
    name = func._schema.name.removeprefix("aten::")
    if name == "native_layer_norm":
        given, normalized = args[0], len(args[1])
        kept = (*given.shape[: given.dim() - normalized], *([1] * normalized))
        # The mean and its deviation are kept in float32 for the half types, on CUDA.
        moments = torch.empty(kept, dtype=torch.float32, device="meta")
        return torch.empty(given.shape, dtype=given.dtype, device="meta"), moments, moments
    if name not in _SAME_TYPE or func._schema.is_mutable:
        return None
    tensors = [value for value in args if isinstance(value, torch.Tensor)]
    first = tensors[0]
    if not first.dtype.is_floating_point or any(t.dtype != first.dtype for t in tensors):
        return None
    shape = torch.broadcast_shapes(*(t.shape for t in tensors))
    return torch.empty(shape, dtype=first.dtype, device="meta")


def _is_view(func: Any) -> bool:
    returns = func._schema.returns
    return bool(returns) and all(
        one.alias_info is not None and not one.alias_info.is_write for one in returns
    )


def _tensors(value: Any) -> list[torch.Tensor]:
    """Every tensor in nested tuples, lists and dicts, in order."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, list | tuple):
        return [t for item in value for t in _tensors(item)]
    if isinstance(value, dict):
        return [t for item in value.values() for t in _tensors(item)]
    return []
