"""What goes wrong with Nsight Systems itself."""

from __future__ import annotations

from ...errors import CaptureError


class ToolFailed(CaptureError):
    """The importer or the exporter of Nsight Systems failed.

    Its words follow, and the advice fits them: the file is not a report or one of a newer nsys, the
    disk is full, or the file system cannot lock, which SQLite needs. What was recorded before is
    still there.
    """

    code = "nsys-tool-failed"


class ToolNotStarted(ToolFailed):
    """The importer of Nsight Systems cannot be started.

    Most often it needs a library that a bare machine lacks: on Debian and Ubuntu,
    `apt-get install libdw1` brings `libdw.so.1`. The `.qdstrm` that was kept can then be imported.
    """

    code = "nsys-tool-not-started"


class ImporterMissing(ToolFailed):
    """nsys left a raw `.qdstrm`, and the importer of its own build is not installed.

    A command-line package comes without the host part, and importers read the files of their own
    build alone. Install the full package of that version, or import the file where it is
    installed: `QdstrmImporter -i FILE.qdstrm`.
    """

    code = "importer-missing"


class ToolInterrupted(CaptureError):
    """The import or export of a report was interrupted.

    Export the report again, or record again.
    """

    code = "nsys-tool-interrupted"

    def __init__(self, message: str, signal_name: str) -> None:
        super().__init__(message)
        self.signal_name = signal_name


class NsysNotFound(CaptureError):
    """Nsight Systems is not where it was looked for.

    Not on `PATH` and not in NVIDIA's folders, or the path after `--nsys` is wrong or not
    executable, which is an error (2) even where no nsys is needed.
    [Recording](recording.md#installing-nsight-systems) says where to get it; `--capture cupti`
    needs none.
    """

    code = "nsys-not-found"


class NsysNotStarted(CaptureError):
    """The nsys that was found does not start, or answers as something else; its words follow."""

    code = "nsys-not-started"


class NsysStartFailed(CaptureError):
    """nsys failed to start, several times in a row, and the target was not seen to run.

    Its words follow. nsys 2022.4 at times looks for its helper before that is there, most often
    while the machine is busy.
    """

    code = "nsys-start-failed"
    remedy = "wait until the machine is less busy, and record again"


class NsysFailed(CaptureError):
    """nsys ended with an error of its own and left no report.

    Its words follow. Whether the target ran, or ran to its end, nsys does not say.
    """

    code = "nsys-failed"
    remedy = "record again; another release of nsys may do better"


class NoReport(CaptureError):
    """nsys ended without an error and without a report.

    Its last words follow, if there were any. `harness doctor` tries a small recording.
    """

    code = "no-report"
    remedy = "run harness doctor"


class OptionsRejected(CaptureError):
    """nsys did not take the options that the harness gave it.

    The harness misread what this release can do. Please report it, with `nsys profile --help`.
    """

    code = "nsys-options-rejected"
    remedy = "this is a defect of the harness with this version; please report it"


class ReportElsewhere(CaptureError):
    """nsys could not write the report where it was to be, and left it in another place.

    The disk is full or permission is missing; nsys then moves its report into the temporary folder
    and still ends with 0. Take it from there.
    """

    code = "report-elsewhere"
    remedy = "free space there or choose another --output-dir"


class NsysKilled(CaptureError):
    """nsys itself was killed, most often for want of memory.

    The recording is lost, and the target was stopped. Record a shorter window.
    """

    code = "nsys-killed"
    remedy = "record again; SIGKILL often means that memory ran out"
