"""Does the program open the profiler's range itself? Read from its source, once."""

from __future__ import annotations

import os
import re
import sys

_CALL = re.compile(
    r"cudaProfilerStart|cuProfilerStart|cuda\.profiler\b|cuda import profiler\b"
    r"|harness import [a-z, ]{0,80}profile\b"
)
_LARGEST = 4 << 20
_PACKAGES = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_OURS = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__)))) + os.sep


def profiler_calls() -> str | None:
    """The file of the program that calls cudaProfilerStart; None for none.

    Looked at are the modules that are loaded from where the program stands and from the working
    folder; not packages, nor what is of this tool.
    """
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    places = [os.getcwd()] + ([os.path.dirname(os.path.abspath(main))] if main else [])
    folders = tuple(os.path.realpath(place).rstrip(os.sep) + os.sep for place in places)
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if not isinstance(path, str) or (path != main and not path.endswith((".py", ".pyw"))):
            continue
        path = os.path.realpath(path)
        if not path.startswith(folders) or path.startswith(_OURS):
            continue
        if any(part in path for part in _PACKAGES):
            continue
        try:
            if os.path.getsize(path) > _LARGEST:
                continue
            with open(path, encoding="utf-8", errors="replace") as file:
                if _CALL.search(file.read()):
                    return os.path.relpath(path)
        except (OSError, ValueError):
            continue
    return None
