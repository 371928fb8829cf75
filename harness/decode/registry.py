"""Where choices and strategies register themselves; imports no torch.

A choice is one value of one of the four orthogonal questions (cache, execution, stop check,
allocator): a class decorated with `choice`. A strategy is a named preset: a call of `strategy`.
Both live in the modules that `stops/` and `presets/` name, or in `caches.py`, `execution.py` and
`allocator.py`. Adding one is one file and its name in the list of its package.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any, TypeVar

from ..errors.options import UnknownChoice
from .errors import NoSuchStrategy
from .strategy import HostSyncs, Strategy

KINDS = ("cache", "execution", "stop_check", "allocator")
_MODULES = ("caches", "execution", "allocator")
_FOLDERS = ("stops", "presets")

_choices: dict[str, dict[str, type[Any]]] = {kind: {} for kind in KINDS}
_strategies: dict[str, Strategy] = {}
T = TypeVar("T", bound=type[Any])


def choice(kind: str, name: str) -> Callable[[T], T]:
    """Class decorator: register the class as `name` among the choices of `kind`."""

    def register(cls: T) -> T:
        if name in _choices[kind]:
            raise ValueError(f"{kind} {name!r} is registered twice")
        _choices[kind][name] = cls
        cls.name = name
        return cls

    return register


def strategy(name: str, summary: str, **fields: Any) -> Strategy:
    """Register a preset; fields are those of `Strategy`."""
    if name in _strategies:
        raise ValueError(f"strategy {name!r} is registered twice")
    _strategies[name] = Strategy(name=name, summary=summary, **fields)
    return _strategies[name]


@functools.cache
def _load() -> None:
    for module in _MODULES:
        importlib.import_module(f".{module}", __package__)
    for folder in _FOLDERS:
        for module in importlib.import_module(f".{folder}", __package__).MODULES:
            importlib.import_module(f".{folder}.{module}", __package__)


def choice_names(kind: str) -> tuple[str, ...]:
    """Names registered for one of KINDS, in the order of registration."""
    _load()
    return tuple(_choices[kind])


def choice_class(kind: str, name: str) -> type[Any]:
    """The class behind a choice; raises UsageError for an unknown name."""
    _load()
    if name not in _choices[kind]:
        raise UnknownChoice(
            f"no {kind.replace('_', ' ')} is called {name!r}",
            remedy=f"choose from {', '.join(_choices[kind])}",
        )
    return _choices[kind][name]


def strategies() -> tuple[Strategy, ...]:
    """All presets, in teaching order: `order`, then name."""
    _load()
    return tuple(sorted(_strategies.values(), key=lambda found: (found.order, found.name)))


def strategy_names() -> tuple[str, ...]:
    """Names of all presets, in the order of `strategies`."""
    return tuple(found.name for found in strategies())


def find_strategy(name: str) -> Strategy:
    """The preset called `name`; raises UsageError for an unknown one."""
    for found in strategies():
        if found.name == name:
            return found
    raise NoSuchStrategy(f"no strategy is called {name!r}")


def is_safe(strategy: Strategy) -> bool:
    """Whether its tokens equal the synchronous loop's, whatever the timing."""
    return bool(choice_class("stop_check", strategy.stop_check).safe)


def needs_of(strategy: Strategy) -> tuple[str, ...]:
    """Everything it needs to run, for example ("cuda", "compiler")."""
    needed = [n for kind, name in strategy.choices.items() for n in choice_class(kind, name).needs]
    return tuple(dict.fromkeys([*needed, *strategy.requires]))


def host_syncs_of(strategy: Strategy, every_k: int = 8) -> HostSyncs:
    """Declared host synchronisations per decode step."""
    if strategy.engine == "hf":
        return HostSyncs(reads=None, event_waits=None)
    if strategy.engine == "device-loop":
        return HostSyncs()  # one read when all is over
    stop = choice_class("stop_check", strategy.stop_check).host_syncs(every_k)
    hidden = choice_class("cache", strategy.cache).reads_per_step
    if strategy.execution != "eager":
        hidden = 0.0  # the check behind them is skipped while tracing
    return HostSyncs(reads=stop.reads + hidden, event_waits=stop.event_waits)
