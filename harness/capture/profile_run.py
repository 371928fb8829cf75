"""The work behind `harness profile`: resolve, record one by one, go on after failures."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from .. import environment
from ..decode.registry import strategy_names
from ..decode.workload import Workload
from ..errors import CaptureError
from ..errors.options import NothingToDo, OptionsConflict
from ..nvtx import CAPTURE
from ..own_python import own_python
from .base import BARE_S, CaptureRange, Choice, choose
from .calibrate import calibrated
from .commands import as_command
from .console import Console
from .errors import (
    Interrupted,
    NoStrategyList,
    NoStrategyRuns,
    OptionsDoNotFit,
)
from .plans import Output, Recorder, command_plan, strategy_plan
from .remarks import LeftOut, NoRanges, NoStepRanges, Recorded, TargetExited, WholeProgram
from .session import Plan, Recording, check_target, record
from .window import Window


@dataclasses.dataclass(frozen=True)
class Request:
    """What the command line asked for; `given` names the options that the user wrote."""

    workload: Workload
    output: Output
    strategies: tuple[str, ...] = ()
    all_strategies: bool = False
    argv: tuple[str, ...] = ()
    capture: str = "auto"
    capture_range: str | None = None
    window: Window | None = None
    graph_trace: Literal["graph", "node"] | None = None
    records: Literal["light", "full"] = "light"
    bare_s: float = BARE_S
    tool: str | None = None
    gpu: str | None = None
    calibrate: bool = False
    given: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What was recorded, and the exit code: the first that is not 0."""

    recordings: tuple[Recording, ...]
    exit_code: int


def run(request: Request, stream: Any = None) -> Outcome:
    """Record everything that `request` asks for; progress goes to `stream` (standard error).

    A single recording raises its error. Of several, each failure is said and the rest go on, until
    the user interrupts. Raises UsageError for what contradicts itself.
    """
    stream = stream or sys.stderr
    _check(request)
    if request.argv:
        request = dataclasses.replace(request, argv=as_command(request.argv))
        check_target(request.argv)
    choice = choose(
        request.capture,
        request.workload.device,
        gpu=environment.has_gpu(),
        tool=request.tool,
        command=bool(request.argv),
    )
    if request.gpu is not None and choice.device != "sim":
        raise OptionsDoNotFit(
            f"--gpu names a GPU to simulate, {choice.backend.name} records a real one",
            remedy="add --capture sim, or leave --gpu out",
        )
    lead = Console(stream, "harness")
    lead.stage(choice.reason)
    plans = list(_plans(request, choice, lead))
    done: list[Recording] = []
    codes: list[int] = []
    with _stopping_cleanly():
        for number, (title, make_plan) in enumerate(plans, 1):
            prefix = f"[{number}/{len(plans)}] {title}" if len(plans) > 1 else title
            console = Console(stream, prefix)
            try:
                plan = make_plan()
                recording = record(plan, console)
                if request.calibrate:
                    recording = calibrated(plan, recording, console)
            except CaptureError as error:
                if len(plans) == 1:
                    raise
                lead.stage(f"{title}: error: {error.line}")
                codes.append(error.exit_code)
                if isinstance(error, Interrupted):
                    break
                continue
            _tell(recording, console)
            done.append(recording)
            codes.append(recording.exit_code)
            if recording.manifest.capture["interrupted"]:
                break
    return Outcome(tuple(done), next((code for code in codes if code), 0))


def _check(request: Request) -> None:
    asked = [bool(request.strategies), request.all_strategies, bool(request.argv)]
    own = {field.name for field in dataclasses.fields(Workload)} - {"strategy", "device", "steps"}
    if sum(asked) > 1:
        raise OptionsConflict("--strategy, --all and -- COMMAND exclude each other")
    if request.argv and request.given & own:
        name = min(request.given & own).replace("_", "-")
        raise OptionsDoNotFit(
            f"--{name} describes the harness's own loop, not your COMMAND",
            remedy="put your program's own options after its name",
        )
    if not any(asked) and not request.given & {"cache", "execution", "stop_check", "allocator"}:
        raise NothingToDo(
            "nothing to record",
            remedy="name your program (harness profile train.py), or use --strategy NAME "
            "('harness strategies' lists them) or --all",
        )
    for name, option in (("records", "--record"), ("bare_s", "--bare")):
        if name in request.given and request.capture not in ("auto", "cupti"):
            raise OptionsDoNotFit(f"{option} is for --capture cupti, not {request.capture}")
    if request.calibrate and request.argv:
        raise OptionsDoNotFit(
            "--calibrate compares the steps of the harness's own strategies",
            remedy="leave it out; time your COMMAND with the Python API of docs/api.md",
        )
    of_commands = {
        "--capture-range": request.capture_range,
        "--delay": request.window and request.window.delay_s,
        "--duration": request.window and request.window.duration_s,
        "--then": request.window and request.window.then,
    }
    given = [name for name, value in of_commands.items() if value is not None]
    if not request.argv and given:
        raise OptionsDoNotFit(
            f"{given[0]} is for a COMMAND of your own",
            remedy="a strategy's window is given by --steps",
        )
    window = request.window
    if window is not None and window.steps is not None and window.asked_time:
        raise OptionsConflict("--steps, and --delay or --duration, exclude each other")


def _plans(
    request: Request, choice: Choice, lead: Console
) -> Iterator[tuple[str, Callable[[], Plan]]]:
    """(title, how to make the plan) of each recording; plans are made late, names hold the time."""
    recorder = Recorder(
        choice, request.graph_trace, request.tool, request.gpu, request.records, request.bare_s
    )
    if request.argv:
        range_ = None
        if request.capture_range is not None:
            range_ = CaptureRange.parse(request.capture_range)
        plan = command_plan(request.argv, range_, recorder, request.output, request.window)
        if range_ is None and plan.capture_range.kind == "none":
            lead.note(
                WholeProgram(
                    "the whole program is recorded; --steps A:B, or --delay and --duration, cut it"
                )
            )
        yield plan.stem, lambda: plan
        return
    names: Sequence[str | None] = tuple(dict.fromkeys(request.strategies)) or (None,)
    if request.all_strategies:
        names = _available(choice.device, lead)
    several = len(names) > 1
    for name in names:
        workload = dataclasses.replace(request.workload, strategy=name)

        def make(workload: Workload = workload) -> Plan:
            return strategy_plan(workload, recorder, request.output, several=several)

        # Made once now as well: a strategy or a name that cannot be is said before any work.
        yield str(make().about["strategy"]), make


def _available(device: str, lead: Console) -> list[str]:
    """The strategies that can run here; the others are named with their reason.

    Asked in a process of its own: it has to import torch, and this one had better stay small.
    """
    if device == "sim":
        from .sim import without_simulation

        for name, reason in without_simulation().items():
            lead.note(LeftOut(f"{name} left out: {reason}"))
        return [name for name in strategy_names() if name not in without_simulation()]
    argv = own_python("-m", "harness", "strategies", "--json", "--device", device)
    asked = subprocess.run(argv, stdout=subprocess.PIPE, check=False)
    try:
        listed = json.loads(asked.stdout)["strategies"]
        reasons = {item["name"]: item["unavailable_reason"] for item in listed}
    except (ValueError, KeyError, TypeError):
        raise NoStrategyList("the list of strategies could not be had") from None
    for name, reason in reasons.items():
        if reason:
            lead.note(LeftOut(f"{name} left out: {reason}"))
    names = [name for name in strategy_names() if not reasons.get(name)]
    if not names:
        raise NoStrategyRuns("no strategy can run here")
    return names


def _tell(recording: Recording, console: Console) -> None:
    """Say what was written, what is in it, and what the user should know."""
    manifest, contents = recording.manifest, recording.contents
    console.stage("wrote " + ", ".join(str(short_path(path)) for path in recording.files.values()))
    for note in manifest.notes:
        console.note(note)
    if contents is None:
        pass
    elif contents.steps:
        console.note(
            Recorded(f"{contents.steps} steps, {contents.gpu_rows} GPU operations recorded")
        )
    elif contents.ranges:
        named = [item for item in contents.names if item[0] != CAPTURE]
        names = ", ".join(f"'{name}' x {count}" for name, count in named)
        console.note(
            NoStepRanges(f"{contents.gpu_rows} GPU operations recorded, and the ranges {names}")
        )
    else:
        known = [note for note in manifest.left_out if note.startswith("NVTX ranges: ")]
        none = NoRanges("no NVTX ranges: put one around each step, 'Step N'")
        console.note(known[0] if known else none)
    if manifest.exit_code and not manifest.capture["interrupted"]:
        console.note(TargetExited(f"the target exited with code {manifest.exit_code}"))


def short_path(path: Path) -> Path:
    """The path as seen from here, where it lies below."""
    with contextlib.suppress(ValueError):
        return path.relative_to(Path.cwd())
    return path


@contextlib.contextmanager
def _stopping_cleanly() -> Iterator[None]:
    """Let SIGTERM and SIGHUP unwind as Ctrl-C does, so that no temporary file stays."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: object) -> None:
        raise Interrupted(f"stopped by {signal.Signals(number).name}", exit_code=128 + number)

    numbers = [
        number
        for number in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is signal.SIG_DFL
    ]
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
