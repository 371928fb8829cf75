"""The shim against NVIDIA's own headers and libraries: it compiles, loads, and reads records that
are laid out with their structs and walked with their cuptiActivityGetNextRecord. No GPU is asked.
"""

from __future__ import annotations

import pytest

from harness import environment
from harness.capture.cupti.dump import read_dump

from .conftest import in_process

_LOAD = """
import ctypes, sys
shim = ctypes.CDLL(sys.argv[1])
shim.hs_error.restype = ctypes.c_char_p
assert shim.hs_load(sys.argv[2].encode()) == 0, shim.hs_error()
"""
_VERSIONS = "print(shim.hs_library_version(), shim.hs_header_version(), shim.hs_abi())"
_DUMP = """
shim.hs_fabricate.argtypes = [ctypes.c_char_p, ctypes.c_int]
assert shim.hs_fabricate(sys.argv[3].encode(), int(sys.argv[4])) == 0, shim.hs_error()
"""
_RECORDED = "print(*(shim.hs_test_is_recorded(int(sys.argv[3]), a.encode()) for a in sys.argv[4:]))"


def test_library_answers_its_version(cuda, shims):
    (line,) = in_process(_LOAD + _VERSIONS, shims(cuda), cuda.library)
    assert line.split() == [str(cuda.version), str(cuda.version), "2"]


def test_every_field_of_every_record(cuda, shims, tmp_path):
    path = tmp_path / "records.bin"
    in_process(_LOAD + _DUMP, shims(cuda, fabricate=True), cuda.library, path, 0)
    records = read_dump(path)
    rows = {
        name: [{field: row[field].tolist() for field in table.dtype.names} for row in table]
        for name, table in records.tables.items()
    }
    text = records.strings
    (kernel,) = rows["kernel"]
    assert text[kernel.pop("name")] == "_Z4gemmPf"
    assert kernel == {
        "start": 1001, "end": 1002, "device": 3, "context": 4, "stream": 5, "correlation": 6,
        "grid_id": 7, "graph_node": 0x500000009, "graph_id": 10, "grid": [11, 12, 13],
        "block": [14, 15, 16], "registers": 17, "static_shared": 18, "dynamic_shared": 19,
        "local_total": 20, "local_per_thread": 21, "shared_executed": 22, "cluster": [23, 24, 25],
        "launch_type": 1, "channel": 26,
    }  # fmt: skip
    copy, peer = rows["memcpy"]
    assert copy == {
        "start": 1003, "end": 1004, "bytes": 1 << 33, "graph_node": 34, "device": 30, "context": 31,
        "stream": 32, "correlation": 33, "graph_id": 35, "flags": 1, "copy_kind": 2, "src_kind": 3,
        "dst_kind": 1, "src_device": 0, "src_context": 0, "dst_device": 0, "dst_context": 0,
        "peer": 0,
    }  # fmt: skip
    assert peer == {
        "start": 1005, "end": 1006, "bytes": 40, "graph_node": 49, "device": 41, "context": 42,
        "stream": 43, "correlation": 48, "graph_id": 50, "flags": 0, "copy_kind": 10, "src_kind": 3,
        "dst_kind": 3, "src_device": 44, "src_context": 45, "dst_device": 46, "dst_context": 47,
        "peer": 1,
    }  # fmt: skip
    assert rows["memset"] == [{
        "start": 1007, "end": 1008, "bytes": 61, "graph_node": 66, "device": 62, "context": 63,
        "stream": 64, "correlation": 65, "graph_id": 67, "value": 60, "memory_kind": 3, "pad": 0,
    }]  # fmt: skip
    assert rows["graph"] == [{
        "start": 1009, "end": 1010, "device": 71, "context": 73, "stream": 74, "correlation": 70,
        "graph_id": 72, "pad": 0,
    }]  # fmt: skip
    runtime, driver = rows["api"]
    assert text[runtime.pop("name")] == "cudaLaunchKernel_v7000"
    assert text[driver.pop("name")] == "cuLaunchKernel"
    assert runtime == {
        "start": 900, "end": 901, "process": 80, "thread": 81, "correlation": 6, "result": 2,
        "driver": 0,
    }  # fmt: skip
    assert driver == {
        "start": 902, "end": 903, "process": 80, "thread": 82, "correlation": 83, "result": 0,
        "driver": 1,
    }  # fmt: skip
    assert rows["sync"] == [{
        "start": 904, "end": 905, "type": 3, "context": 91, "stream": 92, "correlation": 90,
        "event": 93, "pad": 0,
    }]  # fmt: skip
    assert rows["overhead"] == [{
        "start": 906, "end": 907, "kind": 1 << 16, "process": 80, "thread": 81, "correlation": 95,
    }]  # fmt: skip
    assert rows["event"] == [{"correlation": 110, "context": 111, "stream": 112, "event": 113}]
    assert rows["context"] == [{"context": 4, "device": 3, "null_stream": 7, "pad": 0}]
    (marker,) = rows["marker"]
    assert (text[marker.pop("name")], text[marker.pop("domain")]) == ("Step 1", "mine")
    assert marker == {"timestamp": 908, "flags": 2, "id": 100, "process": 80, "thread": 81}
    assert [row["count"] for row in rows["unknown"]] == [1]
    assert (records.dropped, records.broken_buffers) == (5, 0)
    assert records.opened.offset_ns == 0
    assert records.library_version == cuda.version


@pytest.mark.parametrize(
    ("driver", "recorded", "left_out"),
    [
        (
            0,
            ["cudaLaunchKernel_v7000", "cudaLaunchKernelExC_v11060", "cudaMemcpyAsync_v3020",
             "cudaStreamSynchronize_v3020", "cudaStreamBeginCapture_v10000",
             "cudaGraphLaunch_v10000",
             "cudaMalloc_v3020", "cudaFree_v3020", "cudaEventQuery_v3020", "cudaEventRecord_v3020",
             "cudaHostAlloc_v3020", "cudaStreamWaitEvent_v3020"],
            ["cudaGetDevice_v3020", "cudaGetLastError_v3020", "cudaPeekAtLastError_v3020",
             "cudaStreamIsCapturing_v10000", "cudaStreamGetCaptureInfo_v2_v11030",
             "cudaOccupancyMaxActiveBlocksPerMultiprocessor_v6000"],
        ),
        (
            1,
            ["cuLaunchKernel", "cuLaunchKernelEx", "cuLaunchKernel_ptsz", "cuMemcpyAsync",
             "cuMemAlloc_v2", "cuMemCreate", "cuMemMap", "cuMemUnmap", "cuStreamSynchronize",
             "cuEventSynchronize", "cuGraphLaunch", "cuModuleLoadData", "cuMemFree_v2"],
            ["cuKernelGetFunction", "cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags",
             "cuCtxGetCurrent", "cuGetProcAddress_v2", "cuStreamIsCapturing", "cuFuncGetAttribute",
             "cuProfilerStart"],
        ),
    ],
    ids=["runtime", "driver"],
)  # fmt: skip
def test_questions_are_left_out_and_work_is_not(driver, recorded, left_out, cuda, shims):
    arguments = (shims(cuda, fabricate=True), cuda.library, driver, *recorded, *left_out)
    (line,) = in_process(_LOAD + _RECORDED, *arguments)
    assert line.split() == ["1"] * len(recorded) + ["0"] * len(left_out)


def test_a_record_that_cannot_be_read_ends_its_buffer_and_is_counted(cuda, shims, tmp_path):
    path = tmp_path / "records.bin"
    in_process(_LOAD + _DUMP, shims(cuda, fabricate=True), cuda.library, path, 1)
    records = read_dump(path)
    assert len(records.table("kernel")) == len(records.table("marker")) == 1
    assert records.broken_buffers == 1


def test_attaching_without_a_gpu_is_refused(cuda, shims, tmp_path):
    if environment.has_gpu():
        pytest.skip("this machine has a GPU: attaching without one is not tested")
    code = """
import sys
from harness.capture.cupti.session import Refused, ShimSession
config = {"shim": sys.argv[1], "libcupti": sys.argv[2], "folder": sys.argv[3], "graph": True,
          "nvtx": True, "range": {"kind": "cudaProfilerApi"}, "max_bytes": 1 << 30}
try:
    ShimSession(config).attach()
except Refused as refusal:
    print(refusal, "|", refusal.remedy)
"""
    (line,) = in_process(code, shims(cuda), cuda.library, tmp_path)
    assert line.startswith(("no NVIDIA driver: libcuda", "no GPU is visible to CUDA"))


def test_no_libcupti_there(cuda, shims, tmp_path):
    code = """
import ctypes, sys
shim = ctypes.CDLL(sys.argv[1])
shim.hs_error.restype = ctypes.c_char_p
print(shim.hs_load(sys.argv[2].encode()), shim.hs_error().decode())
"""
    (line,) = in_process(code, shims(cuda), tmp_path / "libcupti.so.13")
    assert line.startswith("-1 ")
    assert "cannot open shared object file" in line
