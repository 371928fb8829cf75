"""A CUDA graph that repeats one recorded step until the device says stop.

    outer graph:   look  ->  WHILE handle { step (child graph)  ->  look }

`look` is a kernel of one thread that reads the flag and the position in device memory and sets the
handle. PyTorch records the step but offers no conditional nodes, so they are added through
cuda-bindings, which PyTorch's own CUDA builds bring. Conditional nodes need CUDA 12.4 or newer.
"""

from __future__ import annotations

import ctypes
from typing import Any

import torch

from .errors import NoDeviceLoop

_SOURCE = rb"""
typedef unsigned long long cudaGraphConditionalHandle;
extern "C" __device__ __cudart_builtin__ void cudaGraphSetConditional(
    cudaGraphConditionalHandle handle, unsigned int value);
extern "C" __global__ void look(cudaGraphConditionalHandle handle, const bool* finished,
                                const long long* position, const long long* limit) {
    cudaGraphSetConditional(handle, !*finished && *position < *limit);
}
"""


class WhileGraph:
    """`run()` queues one launch on the current stream: step after step while not `finished` and
    `position < limit`, none at all where that does not hold at first.

    `step` is a torch.cuda.CUDAGraph made with keep_graph=True; `finished` a zero-dimensional bool,
    `position` and `limit` int64 of shape (1,), all on the device and never moved.
    """

    def __init__(
        self,
        step: torch.cuda.CUDAGraph,
        finished: torch.Tensor,
        position: torch.Tensor,
        limit: torch.Tensor,
    ) -> None:
        from cuda.bindings import driver, runtime

        self._runtime = runtime
        # Freed with this object and not before: the graph holds their addresses.
        self._kept = (step, finished, position, limit)
        self._library, look = _look(torch.cuda.get_device_capability())
        outer = _ok(runtime.cudaGraphCreate(0))
        handle = _ok(runtime.cudaGraphConditionalHandleCreate(outer, 0, 0))
        values = [
            ctypes.c_ulonglong(int(handle)),
            *(ctypes.c_void_p(tensor.data_ptr()) for tensor in (finished, position, limit)),
        ]
        pointers = (ctypes.c_void_p * len(values))(*map(ctypes.addressof, values))
        kernel = driver.CUDA_KERNEL_NODE_PARAMS()
        kernel.func = look
        for axis in "XYZ":
            setattr(kernel, f"gridDim{axis}", 1)
            setattr(kernel, f"blockDim{axis}", 1)
        kernel.kernelParams = ctypes.addressof(pointers)
        first = _ok(driver.cuGraphAddKernelNode(driver.CUgraph(int(outer)), None, 0, kernel))

        params = runtime.cudaGraphNodeParams()
        params.type = runtime.cudaGraphNodeType.cudaGraphNodeTypeConditional
        params.conditional.handle = handle
        params.conditional.type = runtime.cudaGraphConditionalNodeType.cudaGraphCondTypeWhile
        params.conditional.size = 1
        before = [runtime.cudaGraphNode_t(int(first))]
        # What CUDA 12 calls _v2, with the dependencies' edge data, is the only one in CUDA 13.
        add = getattr(runtime, "cudaGraphAddNode_v2", None) or runtime.cudaGraphAddNode
        _ok(add(outer, before, None, 1, params))
        body = params.conditional.phGraph_out[0]
        raw = runtime.cudaGraph_t(step.raw_cuda_graph())
        child = _ok(runtime.cudaGraphAddChildGraphNode(body, None, 0, raw))
        behind = [driver.CUgraphNode(int(child))]
        _ok(driver.cuGraphAddKernelNode(driver.CUgraph(int(body)), behind, 1, kernel))
        self._graph = _ok(runtime.cudaGraphInstantiate(outer, 0))
        _ok(runtime.cudaGraphDestroy(outer))

    def run(self) -> None:
        """Queue the loop; the host goes on at once."""
        stream = torch.cuda.current_stream().cuda_stream
        _ok(self._runtime.cudaGraphLaunch(self._graph, stream))


def _look(capability: tuple[int, int]) -> tuple[Any, Any]:
    """The library that holds the kernel `look`, and the kernel."""
    from cuda.bindings import driver, nvrtc

    program = _ok(nvrtc.nvrtcCreateProgram(_SOURCE, b"look.cu", 0, [], []))
    options = [b"--gpu-architecture=sm_%d%d" % capability]
    _ok(nvrtc.nvrtcCompileProgram(program, len(options), options))
    binary = b" " * _ok(nvrtc.nvrtcGetCUBINSize(program))
    _ok(nvrtc.nvrtcGetCUBIN(program, binary))
    library = _ok(driver.cuLibraryLoadData(binary, [], [], 0, [], [], 0))
    kernel = _ok(driver.cuLibraryGetKernel(library, b"look"))
    return library, _ok(driver.cuKernelGetFunction(kernel))


def _ok(result: tuple[Any, ...]) -> Any:
    """What a call of cuda-bindings gave. Raises HarnessError where it failed."""
    error, *values = result
    if int(error):
        raise NoDeviceLoop(f"the loop on the device could not be built or launched ({error.name})")
    return values[0] if values else None
