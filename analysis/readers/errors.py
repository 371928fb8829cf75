"""Why a file cannot be read as a trace."""

from __future__ import annotations

from ..model.errors import TraceError


class NotATrace(TraceError):
    """The file is not a trace.

    Its first bytes or its contents are those of something else: an interrupted download, a text, a
    JSON or a chrome trace by another tool. Traces are Nsight Systems' exports (SQLite, Parquet or
    Arrow), `.nsys-rep` reports, and JSON by torch.profiler's `export_chrome_trace()`.
    """

    code = "not-a-trace"


class ForeignFile(TraceError):
    """The file is another tool's, is packed, or stands in the place of the file.

    The line names what it is (nvprof, DLProf, rocpd, Nsight Compute, Perfetto, a ZIP archive, a Git
    LFS pointer, an HTML page, ...) and the one thing that helps: unpack or fetch it, export it, or
    record again with Nsight Systems, torch.profiler or `harness profile`.
    """

    code = "foreign-file"


class NoTraceRows(TraceError):
    """The database holds neither CUDA nor NVTX rows.

    It is a database of something else, or the recording traced neither of the two.
    """

    code = "no-trace-rows"
    remedy = "record with `nsys profile --trace=cuda,nvtx` and export again"


class ManifestGiven(TraceError):
    """The file is the manifest of a trace, not the trace.

    `harness profile` writes a `.json` beside every recording; the trace has the same name and ends
    with `.sqlite`.
    """

    code = "manifest-given"
    remedy = "give the trace beside it"


class IsADirectory(TraceError):
    """A directory was given where a trace was expected.

    Only directories of Parquet or Arrow tables, as `nsys export` writes them, are traces.
    """

    code = "is-a-directory"


class NotARegularFile(TraceError):
    """The file is a pipe or a device.

    A reader jumps about in a trace, so it has to be a file.
    """

    code = "not-a-regular-file"
    remedy = "copy it to a file first"


class EmptyFile(TraceError):
    """The file has no contents.

    Nothing was written to it, or it was copied before anything was.
    """

    code = "empty-file"


class Truncated(TraceError):
    """The file ends too early.

    An export or a copy of it was cut short. The header of an SQLite file says how long it was.
    Where an export is still being written, wait for its end.
    """

    code = "truncated"
    remedy = "export or copy it again"


class TraceDamaged(TraceError):
    """The contents of the trace contradict themselves.

    A copy or an export went wrong, or something else wrote to the file: pages that stand in it
    twice, rows out of order, more text or more rows than its bytes can hold. The words of the
    library that reads it follow where it refused.
    """

    code = "trace-damaged"
    remedy = "copy or export it again"


class UnfinishedWrite(TraceError):
    """A journal or a log of SQLite lies beside the file.

    The program that writes the file still runs, or was killed on the way. What was last written
    stands partly in the file named and partly in the database: either alone gives wrong figures,
    and SQLite would have to change the file to join them.
    """

    code = "unfinished-write"
    remedy = "close the program that writes it, or export the report again"


class NotAPlainTable(TraceError):
    """A view, or a table of an SQLite module, has the name of a table that is read.

    Either can compute its rows, without end. Nsight Systems writes plain tables.
    """

    code = "not-a-plain-table"
    remedy = "export the report again with `nsys export --type sqlite`"


class InvalidJson(TraceError):
    """The JSON of a torch.profiler trace breaks off or is not valid.

    The place is shown. PyTorch does not escape names; quotes, backslashes and control characters
    in them are mended, but what is left here cannot be.
    """

    code = "invalid-json"
    remedy = "export it again with prof.export_chrome_trace()"


class MissingColumn(TraceError):
    """A table lacks a column that the figures need.

    The schema is not one of Nsight Systems, or somebody cut the table down.
    """

    code = "missing-column"


class WrongColumnType(TraceError):
    """A column holds values of another type.

    Times and identities have to be integers and names texts. Tools that rewrite an export sometimes
    change them.
    """

    code = "wrong-column-type"


class RepeatedName(TraceError):
    """Two tables, or two columns, have the same name.

    Which of the two is meant cannot be told.
    """

    code = "repeated-name"


class UnnamedTable(TraceError):
    """An Arrow stream does not say which table it holds.

    Files of a directory are named after their tables, so the directory can be read where one file
    out of it cannot.
    """

    code = "unnamed-table"
    remedy = "name the folder that it stands in, or export to SQLite"


class TooManyGpus(TraceError):
    """The trace names more GPUs than one machine has.

    The file is damaged, or made up.
    """

    code = "too-many-gpus"
    remedy = "export the report again"


class ExpandsTooFar(TraceError):
    """A packed file is far larger unpacked than any trace would be.

    It was made to fill a memory, or holds something else than a trace.
    """

    code = "expands-too-far"
    remedy = "unpack it first if it is one"
