"""From what was asked for to one strategy: a preset, or any combination of the four choices."""

from __future__ import annotations

import dataclasses

from .errors import NoFixedShape, NotOwnLoop
from .registry import choice_class, find_strategy, strategies
from .strategy import Strategy
from .workload import CHOICES, Workload

DEFAULT = "kv-cache"


def resolve(workload: Workload) -> Strategy:
    """The strategy that `workload` asks for: its preset with the choices that override it.

    A combination that has a preset gets the preset's name; any other is named by its choices, for
    example "static+eager+every-k". Raises UsageError for an unknown name or a combination that
    cannot work anywhere.
    """
    preset = find_strategy(workload.strategy or DEFAULT)
    asked = {kind: getattr(workload, kind) for kind in CHOICES}
    changed = {
        kind: name for kind, name in asked.items() if name not in (None, preset.choices[kind])
    }
    for kind, name in changed.items():
        choice_class(kind, name)
    if not changed:
        return preset
    refused = sorted(changed.keys() - {"allocator"})
    if preset.engine != "loop" and refused:
        raise NotOwnLoop(
            f"{preset.name} is not the harness's own loop and takes no --{_option(refused[0])}"
        )
    wanted = dataclasses.replace(preset, **changed)
    for known in strategies():
        if known.choices == wanted.choices and known.engine == wanted.engine:
            return known
    _check(wanted)
    parts = [name for kind, name in wanted.choices.items() if (kind, name) != _PLAIN]
    name = "+".join(parts) if preset.engine == "loop" else f"{preset.name}+{wanted.allocator}"
    return dataclasses.replace(wanted, name=name, summary="a combination without a preset")


_PLAIN = ("allocator", "default")


def _option(kind: str) -> str:
    return kind.replace("_", "-")


def _check(strategy: Strategy) -> None:
    """Refuse what cannot work on any machine."""
    execution = choice_class("execution", strategy.execution)
    cache = choice_class("cache", strategy.cache)
    if execution.needs_fixed_shapes and not cache.fixed_shapes:
        raise NoFixedShape(
            f"--execution {strategy.execution} needs steps of fixed shape, "
            f"--cache {strategy.cache} has none"
        )
