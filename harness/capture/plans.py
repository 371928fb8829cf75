"""From what was asked for to plans: the harness's own strategies, or a command of the user's."""

from __future__ import annotations

import dataclasses
import datetime
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from .. import nvtx, talk
from ..decode.strategies import resolve
from ..decode.workload import Workload
from ..errors.options import OptionsConflict
from ..own_python import own_python
from .base import BARE_S, CaptureRange, Choice
from .errors import OptionsDoNotFit
from .naming import checked, expand, pattern, rank, slug
from .session import Plan
from .window import Window


@dataclasses.dataclass(frozen=True)
class Output:
    """Where recordings go and what they are called, as the user said it."""

    folder: Path = Path("traces")
    name: str | None = None
    label: str | None = None
    force: bool = False
    keep: bool = False


@dataclasses.dataclass(frozen=True)
class Recorder:
    """How to record: the backend and device that were chosen, and its options."""

    choice: Choice
    graph_trace: Literal["graph", "node"] | None = None
    tool: str | None = None
    gpu: str | None = None
    records: Literal["light", "full"] = "light"
    bare_s: float = BARE_S


def strategy_plan(
    workload: Workload,
    recorder: Recorder,
    output: Output,
    *,
    several: bool = False,
    env: Mapping[str, str] = os.environ,
) -> Plan:
    """The plan for one strategy; with `several`, a given name is a prefix.

    Raises UsageError for a strategy, a name or a window that cannot be.
    """
    workload = dataclasses.replace(workload, device=recorder.choice.device)
    strategy = resolve(workload)
    if workload.steps is None and recorder.choice.backend.name != "null":
        raise OptionsDoNotFit(
            "--steps none records nothing", remedy="use --capture null, or name a window"
        )
    on_gpu = recorder.choice.device in ("cuda", "sim")
    window = CaptureRange("cudaProfilerApi") if on_gpu else CaptureRange("nvtx", nvtx.CAPTURE)
    shape = f"{slug(Path(workload.model).name)[:40]}-b{workload.batch_size}"
    default = f"{slug(strategy.name)}-{shape}-t{workload.max_new_tokens}-{_moment()}"
    name = f"{output.name}-{slug(strategy.name)}" if output.name and several else output.name
    again = recorder.bare_s > 0 and recorder.choice.backend.name == "cupti"
    more = (
        *(("-q",) if talk.quiet() else ()),
        *((f"--again={recorder.bare_s:g}",) if again else ()),
    )
    return _plan(
        own_python("-m", "harness.target", *workload.to_argv(), *more),
        recorder,
        dataclasses.replace(output, name=name),
        default,
        env=env,
        capture_range=window,
        own_target=True,
        needs_steps=workload.steps is not None,
        about={
            "strategy": strategy.name,
            "choices": strategy.choices,
            "workload": workload.to_dict(),
            "seeds": {"workload": workload.seed},
        },
    )


def command_plan(
    argv: tuple[str, ...],
    capture_range: CaptureRange | None,
    recorder: Recorder,
    output: Output,
    window: Window | None = None,
    *,
    env: Mapping[str, str] = os.environ,
) -> Plan:
    """The plan for a command of the user's, run as it is.

    Without a range or a window: the first steady second on a GPU, the whole program on a CPU.
    Raises UsageError where a range and a window are both asked for.
    """
    window = window or Window()
    if capture_range is None:
        looked_for = window.asked or recorder.choice.device == "cuda"
        capture_range = CaptureRange("auto" if looked_for else "none")
    if capture_range.kind != "auto" and (window.asked or window.then):
        asked = str(window) if window.asked else f"--then {window.then}"
        raise OptionsConflict(
            f"{asked} goes with a window that is looked for, --capture-range {capture_range} with "
            "one that the program opens",
            remedy="leave one of the two out",
        )
    default = f"{slug(_program(argv))[:60]}-{_moment()}"
    return _plan(
        argv,
        recorder,
        output,
        default,
        env=env,
        capture_range=capture_range,
        window=window if capture_range.kind == "auto" else None,
    )


def _plan(
    argv: tuple[str, ...],
    recorder: Recorder,
    output: Output,
    default: str,
    *,
    env: Mapping[str, str],
    about: Mapping[str, Any] | None = None,
    **fields: Any,
) -> Plan:
    stem = default if output.name is None else expand(output.name, env)
    own_rank, together = rank(env), None
    if own_rank is not None and "%q{" in (output.name or ""):
        together = pattern(str(output.name))
    elif own_rank is not None:
        # Or every rank would want the same file; a name of ours holds the time, which may differ.
        shared = f"{default[: -len(_moment())]}*" if output.name is None else pattern(output.name)
        together = f"{shared}-rank*"
        stem = f"{stem}-rank{own_rank}"
    return Plan(
        argv=argv,
        backend=recorder.choice.backend,
        device=recorder.choice.device,
        output_dir=output.folder,
        stem=checked(stem),
        number=output.name is None,
        force=output.force,
        keep=output.keep,
        graph_trace=recorder.graph_trace,
        tool=recorder.tool,
        gpu=recorder.gpu,
        records=recorder.records,
        bare_s=recorder.bare_s,
        rank=own_rank,
        together=together,
        about={**(about or {}), "label": output.label},
        **fields,
    )


def _program(argv: tuple[str, ...]) -> str:
    """What a command is best called by: a Python script's or module's name, else the program's."""
    if Path(argv[0]).name.startswith("python"):
        rest = list(argv[1:])
        while rest and rest[0].startswith("-") and rest[0] not in ("-m", "-c"):
            rest.pop(0)
        if rest[:1] == ["-m"] and len(rest) > 1:
            return rest[1]
        if rest and rest[0] != "-c":
            return Path(rest[0]).stem
    return Path(argv[0]).name


def _moment() -> str:
    return datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
