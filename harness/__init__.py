"""Record step loops on a GPU, and find out why it idles between steps.

`from harness import profile, decode` is the Python API; both are imported when first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .version import __version__

if TYPE_CHECKING:
    from . import decode, profile

__all__ = ["__version__", "decode", "profile"]


def __getattr__(name: str) -> Any:
    if name in ("decode", "profile"):
        import importlib

        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
