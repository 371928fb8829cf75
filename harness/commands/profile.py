"""`harness profile`: record strategies, or a program of the user's, and say what came out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .. import talk
from ..capture.remarks import NoSummary
from ..options import strategies_option, workload_options
from ..param_type import ParamType
from ._analysis_options import analysis_options, check, shown
from ._output_options import talk_options
from ._paths import ANY, PathName
from ._program_line import ProgramLine


class BackendName(ParamType):
    """`auto` or the name of a capture backend; the registry is asked only when one is given."""

    name = "BACKEND"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        from ..capture.base import backends

        names = ["auto", *backends()]
        if value not in names:
            self.fail(f"{value!r} is none of {', '.join(names)}", param, ctx)
        return str(value)


class Seconds(ParamType):
    """`1.5`, `1.5s` or `500ms`; more than none."""

    name = "SECONDS"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        if isinstance(value, float):
            return value
        from ._trace_options import Instant

        text = str(value)
        plain = text.replace(".", "", 1).isdecimal()
        nanoseconds = Instant().convert(f"{text}s" if plain else text, param, ctx)
        if not 0 < nanoseconds < 10**15:
            self.fail(f"{text!r} is no length of time; use for example 1.5, 1.5s or 500ms")
        return nanoseconds / 1e9


class BareTime(Seconds):
    """`on`, `off`, or a length of time."""

    name = "on|off|SECONDS"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        from ..capture.base import BARE_S

        if value in ("on", "off"):
            return BARE_S if value == "on" else 0.0
        return super().convert(value, param, ctx)


@click.command(
    cls=ProgramLine,
    context_settings={"ignore_unknown_options": False, "allow_interspersed_args": False},
)
@strategies_option
@click.option("--all", "all_strategies", is_flag=True, help="Every strategy that can run here.")
@click.option(
    "--capture",
    type=BackendName(),
    default="auto",
    show_default=True,
    help="What records: nsys (Nsight Systems), cupti (inside the process), sim (a simulated GPU), "
    "null (no profiler, wall times only), or auto: the best that works here.",
)
@click.option(
    "--capture-range",
    metavar="auto|cudaProfilerApi|nvtx:NAME|none",
    help="What opens the recording of your own PROGRAM: the first steady second, or the CUDA "
    "profiler calls that it makes itself (auto, the default on a GPU); those calls alone; an NVTX "
    "range; or nothing: all of it (default on a CPU).",
)
@click.option(
    "--delay",
    type=Seconds(),
    help="Record your own PROGRAM from so many seconds after its start, for --duration.",
)
@click.option(
    "--duration",
    type=Seconds(),
    help="Record so many seconds of it, once its pace has settled or --delay is over. Default: 1.",
)
@click.option(
    "--then",
    type=click.Choice(["go-on", "stop"]),
    help="After the window your own PROGRAM goes on to its end (default), or is ended.",
)
@click.option(
    "--graph-trace",
    type=click.Choice(["graph", "node"]),
    help="Record CUDA graphs as a whole (cheap; nsys's default) or node by node (for causes; slows "
    "them; cupti's default).",
)
@click.option(
    "--record",
    "records",
    type=click.Choice(["light", "full"]),
    default="light",
    show_default=True,
    help="With --capture cupti: what the analysis uses, or every CUDA call, the events and CUPTI's "
    "own overhead as well, which slows the program more.",
)
@click.option(
    "--bare",
    "bare_s",
    type=BareTime(),
    default="on",
    show_default=True,
    help="With --capture cupti: after the window, time steps with the recorder and without it in "
    "turns, so that what it adds can be taken out. It may add two seconds (on), none (off), or so "
    "many: a noisy host needs more.",
)
@click.option(
    "-o",
    "--output-dir",
    type=PathName(path_type=Path, file_okay=False),
    default=Path("traces"),
    show_default=True,
)
@click.option(
    "--name",
    help="File name without suffix; %q{VAR} is an environment variable, %h the host. "
    "Default: strategy, workload and time.",
)
@click.option("--label", help="How reports shall call it; stored in the manifest.")
@click.option("--force", is_flag=True, help="Replace files of the same name.")
@click.option(
    "--calibrate",
    is_flag=True,
    help="Run each strategy without the profiler too: harness gaps then says what it adds.",
)
@click.option("--keep", is_flag=True, help="Keep the working folder of a failed recording.")
@click.option(
    "--gpu",
    metavar="NAME|FILE",
    help="With --capture sim: the GPU to simulate (l40s, h100, h200, a100, rtx4090, or a .toml "
    "file). Default: l40s.",
)
@click.option(
    "--nsys", "nsys_path", type=ANY, metavar="PATH", help="The nsys to use. Default: on PATH."
)
@workload_options
@analysis_options
@click.argument(
    "command_line",
    metavar="[PROGRAM.py | -m MODULE | -- COMMAND] [ARG]...",
    nargs=-1,
    type=click.UNPROCESSED,
)
@talk_options
@click.pass_context
def command(ctx: click.Context, /, **values: Any) -> None:
    """Record your own PROGRAM, or strategies, and print where the GPU idles.

    A program needs no change and no profiler calls: it is recorded once its pace has settled, for a
    second and 12 steps; --steps, or --delay and --duration, say when instead. It goes on to its end
    afterwards, unless --then stop. Options of `harness gaps` shape what is printed.

    \b
    Writes NAME.nsys-rep (for the Nsight GUI), NAME.sqlite (for `harness gaps`) and NAME.json (how
    it was recorded) into --output-dir. The exit code is the target's own; 125 when the recording
    itself failed, 126 and 127 when PROGRAM cannot be run.

    \b
    Examples:
      harness profile train.py --epochs 1
      harness profile --steps 30:50 --then stop train.py
      harness profile --step 'train_step*' --by cause -m train
      harness profile --strategy pipelined
      harness profile --strategy kv-cache --strategy deferred --batch-size 32
      harness profile --strategy kv-cache --device cpu --model tiny
      harness profile --strategy kv-cache --calibrate
      harness profile -- python my_loop.py --batch-size 8
      harness profile --capture-range nvtx:decode -- python my_loop.py
      torchrun --nproc-per-node 2 --no-python harness profile --name 'run-%q{RANK}' \\
          -- python train.py
    """
    from ..capture.profile_run import run

    analysis = {name: values.pop(name) for name in shown(values)}
    check(analysis)
    outcome = run(_request(ctx, values, analysis))
    _details(outcome.recordings)
    answered = _summary(ctx, outcome.recordings, analysis)
    _next_commands(outcome.recordings, analysis, answered=answered)
    ctx.exit(outcome.exit_code)


def _details(recordings: Any) -> None:
    """With `-v`: how each was recorded, and where the time went."""
    for item in recordings:
        manifest = item.manifest
        times = ", ".join(f"{what} {took:.1f} s" for what, took in manifest.durations_s.items())
        options = " ".join(manifest.capture["options"])
        talk.detail(f"{manifest.capture['backend']} {options}: {times}")


def _request(ctx: click.Context, values: dict[str, Any], analysis: dict[str, Any]) -> Any:
    from ..capture.plans import Output
    from ..capture.profile_run import Request
    from ..capture.window import Window

    written = click.core.ParameterSource.COMMANDLINE
    given = frozenset(name for name in ctx.params if ctx.get_parameter_source(name) is written)
    window = Window(
        steps=values["workload"].steps if "steps" in given else None,
        globs=tuple(analysis.get("globs", ())),
        regexes=tuple(analysis.get("regexes", ())),
        delay_s=values["delay"],
        duration_s=values["duration"],
        then=values["then"],
    )
    return Request(
        window=window,
        workload=values["workload"],
        output=Output(
            folder=values["output_dir"],
            name=values["name"],
            label=values["label"],
            force=values["force"],
            keep=values["keep"],
        ),
        strategies=values["strategies"],
        all_strategies=values["all_strategies"],
        argv=values["command_line"],
        capture=values["capture"],
        capture_range=values["capture_range"],
        graph_trace=values["graph_trace"],
        records=values["records"],
        bare_s=values["bare_s"],
        tool=values["nsys_path"],
        gpu=values["gpu"],
        calibrate=values["calibrate"],
        given=given,
    )


def _summary(ctx: click.Context, recordings: Any, analysis: dict[str, Any]) -> bool:
    """What `harness gaps` says about the recordings, on standard output; whether that ends with
    commands to type next.

    The recordings are there whatever becomes of this: a failure here is a warning.
    """
    from ..capture.profile_run import short_path

    found = [item.files[".sqlite"] for item in recordings if ".sqlite" in item.files]
    traces = tuple(str(short_path(path)) for path in found)
    if not traces or recordings[0].manifest.rank:
        return False  # of several ranks the first speaks
    import os

    from ..errors import HarnessError
    from ..run.errors import NothingBelieved
    from .gaps import command as gaps

    try:
        ctx.invoke(gaps, traces=traces, **analysis)
        in_sentences = analysis["format_name"] in (None, "table") and not analysis["as_json"]
        view = any(analysis[name] for name in ("by", "top", "definitions"))
        gpu_work = any(item.contents and item.contents.gpu_rows for item in recordings)
        return gpu_work and in_sentences and not view
    except NothingBelieved:
        pass  # what was printed says so, and why
    except Exception as error:
        if os.environ.get("HARNESS_DEBUG"):
            raise
        kind = "" if isinstance(error, HarnessError) else f"{type(error).__name__}: "
        said = NoSummary(f"no summary: {kind}{error}")
        click.echo(f"harness: warning: {said.line}", err=True)
    return False


def _next_commands(recordings: Any, analysis: dict[str, Any], *, answered: bool) -> None:
    """The exact commands that look further into what was recorded, on standard error; those alone
    that the answer did not name, where there was one."""
    import shlex

    from ..capture.profile_run import short_path
    from ..program_name import called

    name = shlex.quote(called())
    traces = [item.files[".sqlite"] for item in recordings if ".sqlite" in item.files]
    reports = [item.files[".nsys-rep"] for item in recordings if ".nsys-rep" in item.files]
    if not traces or recordings[0].manifest.rank:
        return
    words = shlex.join(str(short_path(path)) for path in traces)
    commands = []
    if recordings[0].together:
        # The other ranks' files may not be there yet: the shell fills the pattern in later.
        parts = recordings[0].together.split("*")
        pattern = "*".join(shlex.quote(part) if part else "" for part in parts)
        words = f"{shlex.quote(str(short_path(traces[0].parent)))}/{pattern}.sqlite"
    for option, asked in (("--step", "globs"), ("--step-regex", "regexes")):
        words += "".join(f" {option} {shlex.quote(text)}" for text in analysis.get(asked, ()))
    if recordings[0].together or not answered:
        commands.append(f"gaps {words}")
    commands += [f"open {shlex.quote(str(short_path(path)))}" for path in reports]
    if commands:
        talk.say("\n".join(("\nNext:", *(f"  {name} {one}" for one in commands))))
