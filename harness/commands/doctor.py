"""`harness doctor`: can this machine record, and if not, what mends it?"""

from __future__ import annotations

import click

from ..capture.errors import NothingRecords
from ._output_options import talk_options
from ._paths import ANY


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of lines.")
@click.option("--nsys", type=ANY, metavar="PATH", help="The nsys to check. Default: on PATH.")
@talk_options
@click.pass_context
def command(ctx: click.Context, as_json: bool, nsys: str | None) -> None:
    """Check what recording needs, with a real recording of one second.

    Exit code 1 when nothing here can record.

    \b
    Examples:
      harness doctor
      harness doctor --json
      harness doctor --nsys /opt/nvidia/nsight-systems/2025.5.1/bin/nsys
    """
    import json
    import sys

    from ..capture.console import Console
    from ..doctor import diagnose

    found = diagnose(Console(sys.stderr, "doctor"), nsys)
    if as_json:
        click.echo(json.dumps(found.to_dict(), indent=2))
    else:
        width = max(len(check.name) for check in found.checks)
        for check in found.checks:
            click.echo(f"{check.status:4}  {check.name:{width}}  {check.found}")
            if check.remedy and check.status != "ok":
                click.echo(f"{'':4}  {'':{width}}  -> {check.remedy}")
    if not found.can_record:
        raise NothingRecords("nothing can be recorded here")
