"""Run a function right after a module is imported, without importing it earlier than the target.

A target may set environment variables between its start and `import torch`; whoever imports torch
for it would take those away.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any


class ImportHooks:
    """Calls `functions[name](module)` once, when module `name` has been executed."""

    def __init__(self, functions: Mapping[str, Callable[[Any], None]]) -> None:
        self._functions = dict(functions)
        self._busy: set[str] = set()

    def install(self) -> None:
        """Start watching; modules that are already there are told at once."""
        for name in list(self._functions):
            if name in sys.modules:
                self._told(sys.modules[name])
        sys.meta_path.insert(0, self)

    def remove(self) -> None:
        """Stop watching."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """importlib's protocol: the ordinary finders' answer, with its loader wrapped."""
        if name not in self._functions or name in self._busy:
            return None
        self._busy.add(name)
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError):
            spec = None
        finally:
            self._busy.discard(name)
        if spec is None or spec.loader is None or not hasattr(spec.loader, "exec_module"):
            return None
        spec.loader = _Loader(spec.loader, self._told)  # type: ignore[assignment]  # quacks
        return spec

    def _told(self, module: ModuleType) -> None:
        function = self._functions.pop(module.__name__, None)
        if function is not None:
            function(module)


class _Loader:
    def __init__(self, loader: Any, told: Callable[[ModuleType], None]) -> None:
        self._loader = loader
        self._told = told

    def create_module(self, spec: ModuleSpec) -> Any:
        return self._loader.create_module(spec)

    def exec_module(self, module: Any) -> None:
        module.__loader__ = self._loader
        module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        self._told(module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)
