"""Errors that reach the user as one line, and the exit code each one means."""

from __future__ import annotations

from ..analysis.model.errors import CannotRead, CannotWrite, FileExists, TraceError, UsageError

__all__ = [
    "CannotRead",
    "CannotWrite",
    "CaptureError",
    "FileExists",
    "HarnessError",
    "TraceError",
    "UsageError",
]


HarnessError = TraceError
"""One family of errors, by the name that the Python API has for it."""


class CaptureError(HarnessError):
    """Recording failed through no fault of the target; exit code 125, as `env` and `timeout` do."""

    exit_code = 125


class Repeated(HarnessError):
    """An error that was told before, in another process or of another file, with its own code."""

    def __init__(
        self, message: str, *, code: str, remedy: str | None = None, exit_code: int = 1
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.code = code
        self.exit_code = exit_code


class InternalError(HarnessError):
    """A fault of the harness itself.

    Or of a model or a package that failed in its own way inside it.
    """

    code = "internal-error"
    remedy = "run again with HARNESS_DEBUG=1 for the traceback, and please report it"


class NoSuchFile(HarnessError):
    """There is no file of that name.

    It is misspelt, or not written yet.
    """

    code = "no-such-file"


class NotAFile(HarnessError):
    """The name is that of a directory, a pipe or a device.

    A result is written beside the name and then renamed, which would put a file in its place.
    """

    code = "not-a-file"


class NotADirectory(HarnessError):
    """The directory to write into does not exist.

    Directories are not made by guess, since a misspelt one would hide the result.
    """

    code = "not-a-directory"
    remedy = "create it first"


class EmptyName(UsageError):
    """An empty text was given as the name of a file.

    Most often an unset shell variable in quotes.
    """

    code = "empty-name"
    remedy = "name a file or a folder"


class WouldReplaceInput(UsageError):
    """The output would replace one of the inputs.

    `-o` names a trace, or the manifest beside one, perhaps through a link. Not even `--force`
    replaces those.
    """

    code = "would-replace-input"
    remedy = "name another file with -o"


class ManifestInvalid(HarnessError):
    """The `.json` beside a trace is not a manifest that the harness wrote.

    It is a file of something else, or was edited or damaged. Record again, rename it, or remove it.
    """

    code = "manifest-invalid"
