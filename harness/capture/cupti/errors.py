"""Why CUPTI cannot record, or what it recorded cannot be used."""

from __future__ import annotations

from ...errors import CaptureError


class NotPython(CaptureError):
    """`--capture cupti` records Python programs, and the command is none that it can follow.

    The shim lives in a Python process. Name the interpreter and a program: `-- python script.py`,
    `-m MODULE` or `-c CODE`.
    """

    code = "not-python"


class StartsOthers(CaptureError):
    """The command starts the program as processes of its own, where CUPTI cannot follow.

    torchrun and its kin do. Turn it round: let the launcher start `harness profile` once a rank
    ([recording](recording.md#names-and-ranks)).
    """

    code = "starts-others"
    remedy = (
        "record each rank: torchrun --no-python ... harness profile --capture cupti "
        "-- python script.py"
    )


class InterpreterFailed(CaptureError):
    """The target's interpreter cannot be asked for its packages.

    It did not start, or failed. Try `PYTHON -c 'import torch'`.
    """

    code = "interpreter-failed"


class UnknownRoad(CaptureError):
    """The environment asks for a way to CUPTI that there is not."""

    code = "unknown-road"


class NoRoad(CaptureError):
    """Neither the CUPTI shim nor torch.profiler can be used.

    The shim needs a C compiler, CUDA's headers and libcupti; torch.profiler needs a CUDA build of
    PyTorch. What is missing is named.
    """

    code = "no-road"
    remedy = "install gcc and pip install nvidia-cuda-cupti nvidia-cuda-runtime"


class ShimNotBuilt(CaptureError):
    """The CUPTI shim cannot be built.

    The compiler does not start or refuses, the headers are not those of CUPTI, or the cache folder
    cannot be written. `CC` chooses another compiler.
    """

    code = "shim-not-built"


class RecordsDamaged(CaptureError):
    """What CUPTI or torch.profiler recorded cannot be read.

    The file was damaged between the process and the harness, usually by a full disk, or was
    written by a shim of another version: clear the cache folder and record again.
    """

    code = "records-damaged"


class TorchWithoutCuda(CaptureError):
    """The target's PyTorch is built without CUDA, so nothing was recorded."""

    code = "torch-without-cuda"
    remedy = "install a CUDA build of PyTorch"


class LibcuptiUnusable(CaptureError):
    """libcupti was not found, cannot be loaded, or is not the one that fits.

    A library path may bring a part of another CUDA, or a second libcupti, and each would record a
    part. The library has to be of the major release of the shim's headers, and not newer than the
    driver. Install the nvidia-cuda-cupti of PyTorch's CUDA, or update the driver.
    """

    code = "libcupti-unusable"
    remedy = "pip install nvidia-cuda-cupti"


class CuptiInUse(CaptureError):
    """Another profiler is attached to the process.

    CUPTI serves one at a time.
    """

    code = "cupti-in-use"
    remedy = "stop the other profiler: CUPTI serves one at a time"


class NoDriver(CaptureError):
    """CUDA sees no driver or no GPU.

    libcuda cannot be loaded, the container was started without the GPU, or
    `CUDA_VISIBLE_DEVICES` hides it.
    """

    code = "no-driver"


class CuptiRefused(CaptureError):
    """CUPTI did not begin, or began and could not record.

    Its own error follows. Often the rights are missing (`NVreg_RestrictProfilingToAdminUsers`).
    """

    code = "cupti-refused"
    remedy = "run harness doctor"


class InGraphCapture(CaptureError):
    """The capture range begins inside the capture of a CUDA graph.

    Starting the profiler idles the devices, which would break that capture.
    """

    code = "in-graph-capture"
    remedy = "open it before or after torch.cuda.graph(...)"


def refused(code: str, message: str, remedy: str | None) -> CaptureError:
    """The error for what the session in the target refused: only its code can travel."""
    kinds = {kind.code: kind for kind in CaptureError.__subclasses__()}
    return kinds.get(code, CuptiRefused)(message, remedy=remedy)
