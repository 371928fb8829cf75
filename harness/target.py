"""`python -m harness.target`: run one strategy in this process, inside a profiler's window.

What `harness profile` starts under nsys. torch is imported only after the command line was read and
the allocator's environment variable was set, since CUDA reads that once.
"""

from __future__ import annotations

from .own_python import leave_current_folder

if __name__ == "__main__":
    leave_current_folder()

import functools
import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from .decode.errors import ResultNotWritten, TorchTooEarly
from .decode.workload import Workload
from .exits import exit_code_of
from .files import write_text
from .options import strategy_option, workload_options


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@strategy_option
@workload_options
@click.option(
    "--result",
    "result_file",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Write the result as JSON to FILE (- is standard output, as its last line).",
)
@click.option(
    "--again",
    type=click.FloatRange(0),
    default=0,
    metavar="SECONDS",
    help="Generate again and again afterwards, for so long at most: the first run counts.",
)
@click.option("-q", "--quiet", is_flag=True, help="No progress on stderr.")
def target(workload: Workload, result_file: str | None, again: float, quiet: bool) -> None:
    """Run one decode strategy in this process.

    \b
    Examples:
      python -m harness.target --strategy kv-cache --model tiny --device cpu --result -
      python -m harness.target --strategy pipelined --steps 30:50 --force-eos-at 80
    """
    if result_file not in (None, "-") and not os.access(Path(result_file).parent, os.W_OK):
        raise ResultNotWritten(f"--result: cannot write into {Path(result_file).parent}")
    _set_allocator(workload)
    from .decode import session

    def progress(text: str) -> None:
        if not quiet:
            click.echo(f"harness: {text}", err=True)

    _, result = session.run(workload, progress=progress, again_s=again)
    if result_file:
        _write(result, result_file)
    warning = session.check_window(workload, result)
    if warning:
        click.echo(f"harness: warning: {warning.line}", err=True)
    steps = result["steps"]
    progress(
        f"{result['strategy']}: {steps['executed']} steps executed, {steps['kept']} kept, "
        f"{result['times']['generate_ns'] / 1e6:.1f} ms on the host's clock"
    )


def _set_allocator(workload: Workload) -> None:
    from .decode.allocator import allocator_environment, apply_environment
    from .decode.strategies import resolve

    if "torch" in sys.modules:
        raise TorchTooEarly("torch was imported before the allocator's setting could be made")
    apply_environment(allocator_environment(resolve(workload).allocator), os.environ)


def _write(result: dict[str, Any], name: str) -> None:
    line = json.dumps(result)
    if name == "-":
        click.echo(line)
        return
    write_text(Path(name), line + "\n", force=True)


def main(command: click.Command = target, name: str = "python -m harness.target") -> None:
    """Exit codes: 0; 1 for an error, one line on stderr; 2 for a wrong command line; 130 for ^C."""
    run = functools.partial(command.main, prog_name=name, standalone_mode=False)
    sys.exit(exit_code_of(run))


if __name__ == "__main__":
    main()
