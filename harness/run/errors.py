"""Why traces cannot be looked at: many of them, large ones, or on a cluster."""

from __future__ import annotations

from ..analysis.model.errors import TraceError
from ..errors import HarnessError


class NothingBelieved(HarnessError):
    """The trace was read, and none of its figures can be believed.

    Its verdicts, in the report, say why of each.
    """

    code = "nothing-believed"
    remedy = "its verdicts say why"


class SomeFailed(HarnessError):
    """Not all traces could be analysed.

    The reasons stand in the lines before. The figures of those that could be are printed, and the
    exit code is 1 all the same.
    """

    code = "some-failed"


class NoTracesInFolder(HarnessError):
    """A folder was given in place of a trace, and there is none in it.

    Exports (`.sqlite`), reports (`.nsys-rep`), folders of Parquet or Arrow tables and JSON of
    torch.profiler are looked for in the folder itself, not in folders below it.
    """

    code = "no-traces-in-folder"
    remedy = "name the folder with the recordings, or a file"


class NoSteps(HarnessError):
    """The trace has no step to show or to export.

    No range matches the pattern: name it with `--step 'NAME*'`, or try `--infer-steps`.
    """

    code = "no-steps"


class NoGap(HarnessError):
    """The trace has no pause between two operations.

    It holds one operation, or work without a pause.
    """

    code = "no-gap"
    remedy = "name a step with --step N"


class WorkerKilled(TraceError):
    """The process that analysed the trace was killed.

    It was tried again with the machine to itself and killed again. The memory ran out, most likely.
    """

    code = "worker-killed"
    remedy = "if memory ran out, give it a machine with more, or only some steps (--steps A:B)"


class NoRoomForColumns(TraceError):
    """The columns of a large trace cannot be put aside.

    A trace larger than memory is sorted in files of about its own size.
    """

    code = "no-room-for-columns"
    remedy = (
        "make room for about the size of the trace there, or name another folder in HARNESS_CACHE, "
        "or in TMPDIR with --no-cache"
    )


class ExportNotKept(HarnessError):
    """The export of a report cannot be kept in the cache.

    Reports are exported once and the export is kept. With `--no-cache` it passes through `TMPDIR`.
    """

    code = "export-not-kept"
    remedy = "name a folder that can be written in HARNESS_CACHE, or in TMPDIR with --no-cache"


class NotOnWorker(TraceError):
    """A Dask worker does not find the trace.

    Workers read the files themselves, so every one has to see them under the same path.
    """

    code = "not-on-worker"
    remedy = "put the traces where all workers see them under the same path"


class DaskWorkersDied(TraceError):
    """Several Dask workers died while they analysed one trace.

    They have too little memory, or the trace ends whatever reads it. Analyse it alone to see.
    """

    code = "dask-workers-died"
    remedy = "if memory ran out, give the workers more, or use --steps A:B"


class DaskFailed(TraceError):
    """Dask gave no result for a trace.

    Its own words follow.
    """

    code = "dask-failed"


class NoDask(HarnessError):
    """No Dask scheduler answers at the address, or it has no worker.

    None is running there, or the network is in the way.
    """

    code = "no-dask"


class DaskVersionDiffers(HarnessError):
    """A Dask worker has another version of the harness, or none.

    Its figures might differ from those computed here.
    """

    code = "dask-version-differs"
    remedy = "install the same version for all workers and start them again"
