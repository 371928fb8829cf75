"""Errors that reach the user as one line, and the exit code each one means."""

from __future__ import annotations

from .analysis.model.errors import TraceError, UsageError

__all__ = ["CaptureError", "HarnessError", "TraceError", "UsageError"]


class HarnessError(TraceError):
    """Something failed on our side; exit code 1."""


class CaptureError(HarnessError):
    """Recording failed through no fault of the target; exit code 125, as `env` and `timeout` do."""

    exit_code = 125
