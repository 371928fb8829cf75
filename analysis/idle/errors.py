"""Why steps, devices or windows that were asked for cannot be looked at."""

from __future__ import annotations

from ..model.errors import TraceError


class NoSuchStep(TraceError):
    """The trace has no step of that number.

    `--steps A:B` and `--step N` go by the number in the name of the range, not by its place. The
    numbers that there are follow.
    """

    code = "no-such-step"


class NoSuchDevice(TraceError):
    """The trace has no work on that GPU.

    `--device` counts as CUDA does in the recorded process; the GPUs that did something follow.
    """

    code = "no-such-device"


class TooManyThreads(TraceError):
    """Steps of too many threads, or on too many GPUs, match the step pattern.

    Each thread's steps are a series of their own on each GPU, and only so many can be told apart.
    """

    code = "too-many-step-threads"
    remedy = "choose ranges of fewer threads with --step"


class NoLoopFound(TraceError):
    """`--infer-steps` found no repetition that is sure to be the loop.

    The launches do not repeat, or repeat too seldom, or nothing marks the repetition as a step:
    the layers of a model repeat too.
    """

    code = "no-loop-found"
    remedy = "mark the steps (torch.cuda.nvtx.range, record_function) and use --step"


class NoCaptureTime(TraceError):
    """The export does not say how long it recorded.

    `--window capture` reaches from the start of the recording to its end, and not every version of
    nsys writes that down.
    """

    code = "no-capture-time"
    remedy = "leave --window out, or give --start and --end"


class WindowEndsFirst(TraceError):
    """The window ends no later than it starts.

    `--start` and `--end` are the wrong way round or equal, or lie beyond the trace.
    """

    code = "window-ends-first"
