"""Our own Python, started or run in a folder of the user's: what lies there stands in for nothing.

`python -m` and `python -c` import from the current folder first, where a `json.py` or `harness.py`
of anybody's may lie. Imports nothing that Python has not imported by itself already.
"""

import os
import sys


def own_python(*words: str) -> tuple[str, ...]:
    """The command line that has our interpreter run `words`."""
    return (sys.executable, "-P", *words)


def leave_current_folder() -> None:
    """In `python -m harness`: import nothing more from the current folder, as with `python -P`."""
    if not sys.flags.safe_path and sys.path[:1] in ([""], [os.getcwd()]):
        del sys.path[0]
