"""`python -m harness.simgpu.target`: run one strategy on a simulated GPU and write its trace.

What `harness profile --capture sim` starts in the place of `harness.target`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..decode.workload import Workload
from ..options import strategy_option, workload_options
from ..target import _write, main
from .errors import HostDeviceRace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .device import Race

SHOWN_RACES = 3


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@strategy_option
@workload_options
@click.option("--gpu", "gpu_name", default="l40s", show_default=True, metavar="NAME|FILE")
@click.option("--trace", "trace_file", metavar="FILE", help="Write the trace to FILE.")
@click.option("--whole-graphs", is_flag=True, help="Record a CUDA graph as one row.")
@click.option(
    "--values",
    type=click.Choice(["auto", "real", "shapes"]),
    default="auto",
    show_default=True,
    help="Compute the model, or only the shapes of its operations; auto computes small models.",
)
@click.option("--result", "result_file", metavar="FILE", help="Write the result as JSON to FILE.")
@click.option("-q", "--quiet", is_flag=True, help="No progress on stderr.")
def target(
    workload: Workload,
    gpu_name: str,
    trace_file: str | None,
    whole_graphs: bool,
    values: str,
    result_file: str | None,
    quiet: bool,
) -> None:
    """Run one decode strategy on a simulated GPU. Exit code 1 where the host raced the device.

    \b
    Examples:
      python -m harness.simgpu.target --strategy pipelined --gpu l40s --trace run.sqlite
      python -m harness.simgpu.target --strategy kv-cache --model tiny --result -
    """
    # One thread: the arithmetic is small or absent, and two threads would only wait for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from ..analysis.gains.gpu import load_gpu
    from ..decode import session
    from ..decode.allocator import allocator_environment, apply_environment
    from ..decode.strategies import resolve
    from .run import simulate

    def progress(text: str) -> None:
        if not quiet:
            click.echo(f"harness: {text}", err=True)

    # As in `harness.target`: the manifest holds our setting, never an inherited one.
    apply_environment(allocator_environment(resolve(workload).allocator), os.environ)
    gpu = load_gpu(gpu_name)
    done = simulate(workload, gpu, values=values, whole_graphs=whole_graphs, progress=progress)
    warning = session.check_window(workload, done.result)
    if result_file:
        _write(done.result, result_file)
    if trace_file:
        done.write(Path(trace_file), force=True)
    if warning:
        click.echo(f"harness: warning: {warning.line}", err=True)
    steps = done.result["steps"]
    progress(
        f"{done.strategy}: {steps['executed']} steps executed, {steps['kept']} kept, "
        f"{done.result['times']['generate_ns'] / 1e6:.1f} ms on the simulated host's clock"
    )
    if done.runtime.races:
        for line in race_lines(done.runtime.races):
            click.echo(f"harness: error: {HostDeviceRace(line).line}", err=True)
        raise click.exceptions.Exit(1)


def race_lines(races: list[Race]) -> Iterator[str]:
    """One line a race for the first few, and how many there were."""
    for race in races[:SHOWN_RACES]:
        yield f"host-device race: {race}"
    wrong = sum(race.wrong for race in races)
    earliest = max(race.early_ns for race in races) / 1e3
    yield (
        f"{len(races)} host-device races from the first recorded step on, up to {earliest:.1f} µs "
        f"early, {wrong} with the wrong value; wait for the event of the copy before reading its "
        "flag"
    )


if __name__ == "__main__":
    main(target, "python -m harness.simgpu.target")
