"""Ranges of the nvtx package under an nsys that is too old to say that it listens.

From 0.2.12 on the package asks the tool whether a domain is enabled before it makes any call of
NVTX, and nsys up to 2023.4 does not answer. It records the calls all the same: with the question
left out, it had 2,000 of 2,000 ranges of nvtx 0.2.12, 0.2.13 and 0.2.17 under nsys 2022.4.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def open_gate(nvtx: Any) -> bool:
    """Have `nvtx` make its calls unasked; False where this version of it has no such question."""
    lib: Any = sys.modules.get("nvtx._lib.lib")
    domain: Any = getattr(lib, "Domain", None)
    handle: Any = getattr(lib, "DomainHandle", None)
    if domain is None or handle is None or not hasattr(lib, "DummyDomain"):
        return False

    def made(cls: Any, name: str | None = None) -> Any:
        new = object.__new__(cls)
        new.handle = handle(name)
        return new

    domain.__new__ = made
    cached = getattr(getattr(nvtx, "nvtx", nvtx), "_get_domain_cached", None)
    for function in (cached, getattr(nvtx, "get_domain", None)):
        clear: Any = getattr(function, "cache_clear", None)
        if clear is not None:
            clear()  # a domain that was made before, and refused
    return True
