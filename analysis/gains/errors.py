"""Why nothing can be replayed or predicted, or a GPU file cannot be used."""

from __future__ import annotations

from ..model.errors import TraceError, UsageError


class NoSuchGpu(UsageError):
    """No GPU file has that name.

    It is one of the built-in names, or a path that ends in `.toml`.
    """

    code = "no-such-gpu"


class GpuFileInvalid(TraceError):
    """The GPU file cannot be used.

    Every number is `{ value = 1, source = "..." }` with a source that says where it is from, every
    section is there, and no key is misspelt: what nothing reads would be ignored. Copy a built-in
    file and change its numbers.
    """

    code = "gpu-file-invalid"
    remedy = "copy a built-in file and change its numbers"


class NoSuchRange(TraceError):
    """No range of the steps has that name.

    The ranges that the steps have are named; a wildcard may stand for several.
    """

    code = "no-such-range"


class TooFewSteps(TraceError):
    """The trace has too few steps for a steady state."""

    code = "too-few-steps"
    remedy = "record at least 4 steps"


class NoGpuWork(TraceError):
    """The steps of the trace launched no GPU work, so there is nothing to replay.

    It is a recording of a CPU.
    """

    code = "no-gpu-work"
    remedy = "record on a GPU, or with --capture sim"


class NegativeTime(TraceError):
    """A program to play spends a negative time."""

    code = "negative-time"
    remedy = "give a time that is not negative"


class UnknownTracedGpu(UsageError):
    """The trace was recorded on a GPU that no GPU file describes.

    What the trace does not show is taken from a file, so a near one has to be named.
    """

    code = "unknown-traced-gpu"
    remedy = "name the nearest one with --traced-gpu, or leave --gpu out"
