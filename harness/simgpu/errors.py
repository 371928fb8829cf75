"""Why something cannot be simulated or calibrated."""

from __future__ import annotations

from ..errors import HarnessError


class NoFileToCalibrate(HarnessError):
    """The trace was recorded on a GPU that no GPU file describes.

    `harness calibrate` keeps the rates of a file and measures its times anew.
    """

    code = "no-file-to-calibrate"
    remedy = "name the file whose rates are to be kept with --gpu"


class OutOfGpuMemory(HarnessError):
    """The simulated GPU has not enough memory, as the real one would say."""

    code = "out-of-gpu-memory"
    remedy = "use a smaller --batch-size, fewer tokens, or another --gpu"


class ReadsTheDevice(HarnessError):
    """The step reads a value of the device, which a CUDA graph cannot hold."""

    code = "reads-the-device"
    remedy = "choose --execution eager or compile"


class CannotSimulate(HarnessError):
    """The strategy cannot be simulated; the reason follows.

    `deferred` and `cuda-graph-deferred` hide the same check, and can be.
    """

    code = "cannot-simulate"
    remedy = "choose deferred or cuda-graph-deferred, which hide the same check"


class HostDeviceRace(HarnessError):
    """The strategy read a flag before its copy had landed, on the simulated GPU.

    Which step, and how early, is said; the last line counts them. Wait for the event of the copy
    before reading its flag.
    """

    code = "host-device-race"
