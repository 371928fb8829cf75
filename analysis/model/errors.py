"""What every error carries, and the errors of files, packages and memory."""

from __future__ import annotations

from typing import Any


class TraceError(Exception):
    """A trace cannot be read or believed: what failed, what was found, how to mend it.

    Its subclasses are what is raised. Each has a `code`, by which `harness explain` finds it, a
    docstring that explains it (a title, then why it happens and what helps), an exit code, and
    often a `remedy`, which a raise may replace by one that fits the case better.

    `str(error)` is one line without control characters, fit for a terminal.
    """

    exit_code = 1
    code = ""
    remedy: str | None = None

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if remedy is not None:
            self.remedy = remedy

    def __str__(self) -> str:
        text = self.message if self.remedy is None else f"{self.message}; {self.remedy}"
        return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)

    def __reduce__(self) -> tuple[Any, ...]:
        return _made_again, (type(self), self.args, self.__dict__)

    @property
    def line(self) -> str:
        """What is printed: the message, the remedy, and the code to ask `harness explain` for."""
        return f"{self} [{self.code}]" if self.code else str(self)


def _made_again(kind: type[TraceError], args: tuple[object, ...], facts: Any) -> TraceError:
    """An error that came from another process, whatever its class asks for."""
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(facts)
    return error


class UsageError(TraceError):
    """The command line asks for something that makes no sense; exit code 2."""

    exit_code = 2


class CannotRead(TraceError):
    """The system refuses to read a file.

    Its reason follows the name: it does not exist, permission is denied, or too many files are
    open.
    """

    code = "cannot-read"


class CannotWrite(TraceError):
    """A file cannot be written.

    The folder does not exist or may not be written to, or the disk is full; the reason follows
    where the system gives one.
    """

    code = "cannot-write"


class FileExists(TraceError):
    """A file of that name is there already.

    Nothing is overwritten unless `--force` is given.
    """

    code = "file-exists"


class PackageMissing(TraceError):
    """An optional Python package is not installed.

    Parquet and Arrow need pyarrow, PNG pictures resvg-py, `--dask` distributed, and recording or
    simulating PyTorch and transformers. The line says what to install and what works without.
    """

    code = "package-missing"


class NotEnoughMemory(TraceError):
    """The memory does not suffice for what was asked.

    Tables and JSON are made in parts and need little. Plots, pages, exports and `--infer-steps`
    need every row of a trace at once.
    """

    code = "not-enough-memory"
    remedy = "use fewer --jobs, or a machine with more memory"
