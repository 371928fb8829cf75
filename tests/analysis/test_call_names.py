"""Which call is of which kind: CUDA, HIP, Intel and Ascend alike."""

from __future__ import annotations

import numpy as np
import pytest

from harness.analysis.model import cuda_calls
from harness.analysis.model.cuda_calls import allocating
from harness.analysis.model.polling import IDLE_CALL, QUERY
from harness.analysis.model.trace import Calls

KINDS = {
    "event": cuda_calls.EVENT_SYNCHRONIZE,
    "stream": cuda_calls.STREAM_SYNCHRONIZE,
    "device": cuda_calls.SYNCHRONIZE - cuda_calls.EVENT_SYNCHRONIZE - cuda_calls.STREAM_SYNCHRONIZE,
    "query": QUERY,
    "idle": IDLE_CALL,
    "wait": cuda_calls.STREAM_WAIT,
    "begins": cuda_calls.CAPTURE_BEGINS,
    "ends": cuda_calls.CAPTURE_ENDS,
    "function": cuda_calls.HOST_FUNCTION,
}


def calls(*names: str) -> Calls:
    n = len(names)
    zero, no = np.zeros(n, np.int64), np.zeros(n, np.bool_)
    thread = np.zeros(n, np.int32)
    return Calls(zero, zero, thread, thread, zero, np.arange(n, dtype=np.int32), no, names)


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("event", ("cudaEventSynchronize", "hipEventSynchronize", "urEventWait")),
        ("stream", ("cuStreamSynchronize", "hipStreamSynchronize", "urQueueFinish")),
        ("device", ("cudaDeviceSynchronize", "hipDeviceSynchronize", "aclrtSynchronizeDevice")),
        ("query", ("cudaEventQuery", "cuStreamQuery", "hipEventQuery", "zeEventQueryStatus")),
        ("idle", ("cudaGetLastError", "hipGetDevice", "cuCtxGetCurrent")),
        ("wait", ("cudaStreamWaitEvent", "hipStreamWaitEvent", "aclrtStreamWaitEvent")),
        ("begins", ("cudaStreamBeginCapture", "cuStreamBeginCapture", "hipStreamBeginCapture")),
        ("ends", ("cudaStreamEndCapture", "cuStreamEndCapture", "hipStreamEndCapture")),
        ("function", ("cudaLaunchHostFunc", "cuStreamAddCallback", "hipLaunchHostFunc")),
    ],
)
def test_a_call_is_of_one_kind(kind: str, names: tuple[str, ...]) -> None:
    for name in names:
        assert [which for which, members in KINDS.items() if name in members] == [kind]


@pytest.mark.parametrize(
    "name",
    [
        "cudaMalloc", "cudaFreeAsync", "cuMemMap", "hipMalloc", "hipHostFree", "urUSMDeviceAlloc",
        "urUSMFree", "piextUSMDeviceAlloc", "zeMemAllocDevice", "zeMemFree", "aclrtMalloc",
        "aclrtFree",
    ],
)  # fmt: skip
def test_allocations(name: str) -> None:
    assert allocating(calls(name)).tolist() == [True]


@pytest.mark.parametrize(
    "name", ["cudaMemcpyAsync", "urEnqueueUSMMemcpy", "urQueueFinish", "aclrtMemcpyAsync", "zeInit"]
)
def test_what_allocates_nothing(name: str) -> None:
    assert allocating(calls(name)).tolist() == [False]


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("cuStreamWaitValue64", cuda_calls.OUTSIDE_WAIT),
        ("cudaWaitExternalSemaphoresAsync", cuda_calls.OUTSIDE_WAIT),
        ("hipIpcOpenEventHandle", cuda_calls.IPC_EVENT),
        ("cudaEventRecordWithFlags", cuda_calls.EVENT_RECORD),
        ("hipEventRecord", cuda_calls.EVENT_RECORD),
        ("hipGraphLaunch", cuda_calls.GRAPH_LAUNCH),
    ],
)
def test_families(name: str, pattern: object) -> None:
    families = (
        cuda_calls.OUTSIDE_WAIT, cuda_calls.IPC_EVENT, cuda_calls.EVENT_RECORD,
        cuda_calls.GRAPH_LAUNCH,
    )  # fmt: skip
    assert [family for family in families if family.match(name)] == [pattern]
