"""`harness open`: a recording in the Nsight Systems GUI."""

from __future__ import annotations

from pathlib import Path

import click

from ._paths import PathName


@click.command("open")
@click.argument("trace", type=PathName(path_type=Path))
def command(trace: Path) -> None:
    """Open the report of TRACE in the Nsight Systems GUI (nsys-ui).

    TRACE is a .nsys-rep, or the .sqlite or .json beside one.

    \b
    Examples:
      harness open traces/pipelined.nsys-rep
      harness open traces/pipelined.sqlite
    """
    from ..viewer import open_report

    report = open_report(trace)
    click.echo(f"nsys-ui is opening {report}", err=True)
