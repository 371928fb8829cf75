"""Before a recording: what kind of target, which road, and is anyone in the way?"""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import CaptureError
from ..base import python_of_script
from . import build, find
from .errors import InterpreterFailed, NoRoad, NotPython, StartsOthers

LAUNCHER = Path(__file__).resolve().parents[2] / "launcher.py"
# Modules and commands that run the program as processes of their own.
PARENTS = frozenset(
    {
        "torchrun", "torch.distributed.run", "torch.distributed.launch", "accelerate",
        "accelerate.commands.launch", "deepspeed", "deepspeed.launcher.runner", "mpirun", "mpiexec",
        "srun", "horovodrun", "ray",
    }
)  # fmt: skip
_ALONE = set("bBdEhiIOPqsSuvVx")
_WITH_VALUE = ("-W", "-X", "--check-hash-based-pycs")
_JOINED = ("-W", "-X", "--check-hash-based-pycs=")


@dataclasses.dataclass(frozen=True)
class Target:
    """A Python command: the interpreter with its options, and what it is to run."""

    interpreter: tuple[str, ...]
    words: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Road:
    """How to record: `shim` or `torch`, why, and what the shim needs."""

    name: str
    reason: str
    library: str | None = None
    includes: tuple[str, ...] = ()
    compiler: tuple[str, ...] = ()


def python_target(argv: Sequence[str]) -> Target:
    """Split a Python command line; CaptureError where the target is no Python program."""
    program, *rest = argv
    _refuse_parent(Path(program).name)
    if not Path(program).name.startswith("python"):
        path = shutil.which(program)
        line = python_of_script(path) if path else ()
        if path is None or not line:
            raise NotPython(
                f"--capture cupti records Python programs, {program} is none",
                remedy="name the interpreter: -- python script.py, or install Nsight Systems",
            )
        return Target(line, (path, *rest))
    options = [program]
    while rest:
        word = rest[0]
        if word == "-":
            break
        if word in ("-m", "-c") and len(rest) > 1:
            _refuse_parent(rest[1] if word == "-m" else "")
            return Target(tuple(options), tuple(rest))
        if word in _WITH_VALUE and len(rest) > 1:
            options += [rest.pop(0), rest.pop(0)]
        elif word.startswith(_JOINED) or (word[:1] == "-" and set(word[1:]) <= _ALONE):
            options.append(rest.pop(0))
        elif word.startswith("-"):
            break
        else:
            _refuse_parent(Path(word).name)
            return Target(tuple(options), tuple(rest))
    raise NotPython(
        f"no script in the command: {' '.join(argv)}",
        remedy="use python SCRIPT, python -m MODULE or python -c CODE",
    )


def _refuse_parent(name: str) -> None:
    if name in PARENTS:
        raise StartsOthers(
            f"{name} starts the program as processes of its own, where CUPTI cannot follow"
        )


def other_profiler(env: Mapping[str, str]) -> str | None:
    """One line about a profiler that the environment brings into the target; None without one."""
    for name, what in (
        ("NSYS_PROFILING_SESSION_ID", "Nsight Systems"),
        ("NSYS_TARGET_SESSION_ID", "Nsight Systems"),
        ("CUDA_INJECTION64_PATH", "a CUDA injection tool"),
        ("NV_COMPUTE_PROFILER_PERFWORKS_DIR", "Nsight Compute"),
    ):
        if env.get(name):
            return f"{what} is already attached ({name} is set): CUPTI serves one client"
    return None


def here() -> dict[str, Any]:
    """What this interpreter has."""
    return find.found()


def ask(target: Target) -> dict[str, Any]:
    """What the target's interpreter has; CaptureError where it cannot be asked."""
    argv = [*target.interpreter, str(LAUNCHER), "--find"]
    try:
        done = subprocess.run(
            argv, capture_output=True, stdin=subprocess.DEVNULL, timeout=60, check=False
        )
        lines = done.stdout.decode(errors="replace").strip().splitlines()
        if not lines:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise ValueError(said[-1] if said else f"it ended with code {done.returncode}")
        told = json.loads(lines[-1])
        if not isinstance(told, dict):
            raise ValueError(f"it said {lines[-1][:80]!r}")
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        raise InterpreterFailed(
            f"{target.interpreter[0]} cannot be asked for its packages: {error}"
        ) from error
    return told


def choose_road(found: Mapping[str, Any], asked: str | None = None) -> Road:
    """The shim where it can be compiled, torch.profiler otherwise; `asked` forces one."""
    compiler = build.find_compiler()
    missing = None
    if not found["libraries"]:
        missing = "no libcupti beside PyTorch or in a CUDA toolkit"
    elif not found["includes"]:
        missing = "no CUPTI headers"
    elif compiler is None:
        missing = "no C compiler"
    if missing is None and asked != "torch":
        assert compiler is not None
        return Road(
            "shim",
            f"CUPTI through a shim compiled with {compiler[0]}",
            library=found["libraries"][0],
            includes=tuple(found["includes"]),
            compiler=tuple(compiler),
        )
    if asked == "shim":
        raise NoRoad(f"the CUPTI shim cannot be built: {missing}")
    if found["torch_cuda"] is None:
        raise NoRoad(
            f"no road to CUPTI: {missing or 'asked for torch.profiler'}, and no PyTorch with CUDA",
            remedy="install gcc and nvidia-cuda-cupti, or a CUDA build of PyTorch",
        )
    why = "as asked" if asked else missing
    return Road("torch", f"CUPTI through torch.profiler ({why})")


def prepare(road: Road, *, required: bool = False) -> tuple[Road, Path | None]:
    """Compile the shim; where that fails, torch.profiler takes over and the reason is told."""
    try:
        return road, build.build(road.includes, road.compiler).path
    except CaptureError as error:
        if required:
            raise
        return Road("torch", f"CUPTI through torch.profiler ({error})"), None
