"""Why the GUI of Nsight Systems cannot show a recording (`harness open`)."""

from __future__ import annotations

from . import HarnessError


class NotAReport(HarnessError):
    """The GUI cannot open this file.

    It opens `.nsys-rep` files, which only nsys writes: recordings by CUPTI and by the simulator
    have none, and a `.qdstrm` has to be imported first, by the same version of Nsight Systems.
    `harness show` and `harness export --to perfetto` draw any trace.
    """

    code = "not-a-report"


class GuiNotFound(HarnessError):
    """nsys-ui is not installed.

    Command-line packages of Nsight Systems leave it out.
    """

    code = "gui-not-found"


class NoDisplay(HarnessError):
    """The GUI has no screen to draw on.

    Copy the report to a desktop, or forward a display (`ssh -X`).
    """

    code = "no-display"


class GuiFailed(HarnessError):
    """nsys-ui ended with an error, whose words follow."""

    code = "gui-failed"


class NewerReport(HarnessError):
    """The report is newer than the Nsight Systems here.

    An older version cannot read what a newer one wrote.
    """

    code = "newer-report"
