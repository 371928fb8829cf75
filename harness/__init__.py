"""Record step loops on a GPU, and find out why it idles between steps.

`from harness import profile, decode` is the Python API; both are imported when first asked for.
"""

from .version import __version__

# Imports nothing but ours: `python -m harness` would look in the current folder first.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from . import decode, profile

__all__ = ["__version__", "decode", "profile"]


def __getattr__(name: str) -> object:
    if name in ("decode", "profile"):
        import importlib

        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
