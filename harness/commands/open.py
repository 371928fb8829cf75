"""`harness open`: a recording in the Nsight Systems GUI."""

from __future__ import annotations

from pathlib import Path

import click

from .. import talk
from ._output_options import talk_options
from ._paths import PathName


@click.command("open")
@click.argument("trace", type=PathName(path_type=Path))
@talk_options
def command(trace: Path) -> None:
    """Open the report of TRACE in the Nsight Systems GUI (nsys-ui).

    TRACE is a .nsys-rep, or the .sqlite or .json beside one; of a folder, its newest report.

    \b
    Examples:
      harness open traces/pipelined.nsys-rep
      harness open traces/pipelined.sqlite
    """
    from ..viewer import open_report

    report = open_report(trace)
    talk.say(f"nsys-ui is opening {report}")
