"""What the server of new processes imports first: it forgets what its own start alone needed."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_SAFE_PATH = "PYTHONSAFEPATH"
_OURS = "harness"
_one_at_a_time = threading.Lock()


@contextmanager
def safe_path() -> Iterator[None]:
    """Python's own helpers (`multiprocessing` takes no option for them) are started meanwhile such
    that they import nothing from the current folder: a `json.py` may lie beside the traces."""
    if sys.flags.safe_path:  # they get the option that we were given
        yield
        return
    with _one_at_a_time:
        before = os.environ.get(_SAFE_PATH)
        os.environ[_SAFE_PATH] = _OURS
        try:
            yield
        finally:
            if before is None:
                del os.environ[_SAFE_PATH]
            else:
                os.environ[_SAFE_PATH] = before


if os.environ.get(_SAFE_PATH) == _OURS:  # a program of the user's may be started from here
    del os.environ[_SAFE_PATH]
