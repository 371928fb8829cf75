"""The generator: a decode loop built from four orthogonal choices, and its named strategies.

`run` and `all_strategies` are the Python API (`docs/api.md`); `run` imports torch when called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .loop import Generation
    from .strategy import Strategy
    from .workload import Workload

__all__ = ["Workload", "all_strategies", "run"]


def run(
    strategy: str | Workload = "kv-cache", *, model: Any = None, **workload: Any
) -> tuple[Generation, dict[str, Any]]:
    """Generate with one strategy, in this process; the generation, and its result as plain values.

    `strategy` is a name, or a whole `Workload`. `model` is a name or path as `--model` takes it, or
    a causal model of transformers, already on its device; its `config.pad_token_id` is empty
    meanwhile, as `models.load_model` leaves it. `workload` are further fields of `Workload`, which
    win over those of a whole one; no step is recorded unless `steps` says so.
    Raises HarnessError, UsageError.
    """
    import dataclasses

    from . import session
    from .workload import Workload

    asked = strategy if isinstance(strategy, Workload) else Workload(strategy, steps=None)
    if model is not None:
        workload["model"] = model if isinstance(model, str) else type(model).__name__
    asked = dataclasses.replace(asked, **workload)
    if model is None or isinstance(model, str):
        return session.run(asked)
    padding, model.config.pad_token_id = model.config.pad_token_id, None
    try:
        return session.run(asked, model=model)
    finally:
        model.config.pad_token_id = padding


def all_strategies() -> tuple[Strategy, ...]:
    """All named strategies, in teaching order."""
    from .registry import strategies

    return strategies()


def __getattr__(name: str) -> Any:
    if name == "Workload":
        from .workload import Workload

        return Workload
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
