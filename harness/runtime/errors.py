"""Why a device cannot run what was asked of it."""

from __future__ import annotations

from ..errors import HarnessError


class NoCudaGraphs(HarnessError):
    """A CPU has no CUDA graphs."""

    code = "no-cuda-graphs"
    remedy = "run on a GPU, or choose another strategy"


class NoCudaDevice(HarnessError):
    """PyTorch sees no CUDA device.

    It is a CPU build, `CUDA_VISIBLE_DEVICES` is empty, or there is no GPU.
    """

    code = "no-cuda-device"
    remedy = "run on a GPU machine, or choose --device cpu"


class NoDeviceLoop(HarnessError):
    """The loop on the device could not be built or launched.

    It needs CUDA 12.4 or newer; CUDA's error is named. `cuda-graph-deferred` is the next best.
    """

    code = "no-device-loop"
    remedy = "it needs CUDA 12.4 or newer; choose cuda-graph-deferred"
