"""What a user may type for a program: a script, a module, or a whole command line."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from .base import python_of_script

SCRIPTS = (".py", ".pyw")


def as_command(argv: tuple[str, ...], env: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """`train.py ARG` and `-m module ARG` with the Python that runs them; others as they are.

    A script that says in its first line what runs it, and may be executed, is left to that.
    """
    first = argv[0]
    if first == "-m" and len(argv) > 1:
        return (python(env), *argv)
    if not first.endswith(SCRIPTS) or not Path(first).is_file():
        return argv
    if os.access(first, os.X_OK) and os.sep in first and python_of_script(first):
        return argv
    return (python(env), *argv)


def python(env: Mapping[str, str] = os.environ) -> str:
    """The Python that a user means: that of the active environment, else ours if it has PyTorch.

    Else the one on PATH. A harness that was installed apart (pipx, uv tool) has no PyTorch.
    """
    found = shutil.which("python", path=env.get("PATH"))
    active = env.get("VIRTUAL_ENV") or env.get("CONDA_PREFIX")
    if found and active and Path(found).is_relative_to(active):
        return found
    if importlib.util.find_spec("torch") is not None:
        return sys.executable
    return found or shutil.which("python3", path=env.get("PATH")) or sys.executable
