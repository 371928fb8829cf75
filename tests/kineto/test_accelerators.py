"""Other accelerators: device figures where calls are not known by name, and no cause made up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.analysis.analyze import analyze
from harness.analysis.readers.kineto.accelerators import accelerator_of
from harness.analysis.report import TraceReport
from harness.analysis.verdicts.judge import Level

from .kineto_json import Event, event, kineto_2_11

US = 1000


def loop(call_cat: str, call: str, gpu_cat: str | None, device: int = 0) -> list[Event]:
    """14 steps of 100 us: a call at 5, the device at work from 15 to 65."""
    made: list[Event] = []
    for k in range(14):
        at = k * 100 * US
        made.append(event("user_annotation", f"ProfilerStep#{k + 1}", at, at + 99 * US, 100, 100))
        made.append(event(call_cat, call, at + 5 * US, at + 10 * US, 100, 100, correlation=k + 1))
        if gpu_cat:
            made.append(
                event(gpu_cat, "fc", at + 15 * US, at + 65 * US, device, 7,
                      device=device, stream=7, correlation=k + 1)
            )  # fmt: skip
    return made


def read(folder: Path, events: list[Event], gpus: str | None = None) -> TraceReport:
    path = folder / "t.json"
    data = kineto_2_11(events)
    if gpus is not None:
        start = data.index(b'"deviceProperties": [')
        data = (
            data[:start]
            + b'"deviceProperties": ['
            + gpus.encode()
            + data[data.index(b"]", start) :]
        )
    path.write_bytes(data)
    return analyze(path)


@pytest.mark.parametrize(
    ("call_cat", "call", "gpu_cat", "name"),
    [
        ("mtia_runtime", "runFunction", "mtia_ccp_events", "MTIA"),
        ("privateuse1_runtime", "aclrtLaunchKernel", "kernel", "Ascend"),
        ("privateuse1_runtime", "launch", "kernel", "PrivateUse1"),
        ("privateuse1_runtime", "launch", "hpu_op", "HPU"),
    ],
)
def test_calls_that_are_not_known(
    tmp_path: Path, call_cat: str, call: str, gpu_cat: str, name: str
) -> None:
    found = read(tmp_path, loop(call_cat, call, gpu_cat))
    (device,) = found.devices
    assert (device.window_ns, device.busy_ns, device.idle_ns) == (1350 * US, 700 * US, 650 * US)
    (series,) = found.series
    assert series.steady is not None
    assert series.steady.idle_ns == 50 * US
    assert found.limiter(series.steady) is None
    (verdict,) = found.verdicts
    assert (verdict.code, verdict.figures, verdict.level) == (
        "accelerator-unknown", "causes", Level.INVALID,
    )  # fmt: skip
    assert verdict.reason.startswith(f"the trace is of {name}: ")


@pytest.mark.parametrize(
    ("call_cat", "call"),
    [
        ("cuda_runtime", "cudaLaunchKernel"),
        ("cuda_runtime", "hipLaunchKernel"),
        ("xpu_runtime", "urEnqueueKernelLaunch"),
    ],
)
def test_calls_that_are_known(tmp_path: Path, call_cat: str, call: str) -> None:
    assert read(tmp_path, loop(call_cat, call, "kernel")).verdicts == ()


@pytest.mark.parametrize(
    ("call_cat", "call", "api", "activity"),
    [
        ("mtia_runtime", "runFunction", "MTIA", "ProfilerActivity.MTIA"),
        ("xpu_runtime", "urEnqueueKernelLaunch", "XPU", "ProfilerActivity.XPU"),
        ("cuda_runtime", "hipLaunchKernel", "HIP", "ProfilerActivity.CUDA"),
        ("cuda_runtime", "cudaLaunchKernel", "CUDA", "ProfilerActivity.CUDA"),
    ],
)
def test_where_the_device_was_not_recorded(
    tmp_path: Path, call_cat: str, call: str, api: str, activity: str
) -> None:
    found = read(tmp_path, loop(call_cat, call, None))
    (verdict,) = found.verdicts
    assert verdict.code == "gpu-rows-missing"
    assert verdict.reason == f"14 {api} calls were recorded but not one GPU operation"
    assert activity in verdict.remedy
    assert "CUPTI" not in verdict.remedy


def test_tasks_of_an_ascend_npu(tmp_path: Path) -> None:
    """torch_npu's trace_view.json: a bare list, times as text, no category."""
    tasks = [
        {"name": "MatMulV2", "ph": "X", "pid": 9, "tid": 2, "ts": f"{100 * k + 15}.250",
         "dur": 50.0, "args": {"Task Type": kind, "Physic Stream Id": 2, "Task Id": k}}
        for k in range(10)
        for kind in ("AI_CORE", "EVENT_WAIT")
    ]  # fmt: skip
    name = {"ph": "M", "name": "process_name", "pid": 9, "tid": 0,
            "args": {"name": "Ascend Hardware"}}  # fmt: skip
    path = tmp_path / "trace_view.json"
    path.write_text(json.dumps([name, *tasks]))
    found = analyze(path)
    (device,) = found.devices
    assert device.operations == 10
    assert (device.window_ns, device.busy_ns) == (950 * US, 500 * US)
    assert [v.code for v in found.verdicts if v.figures != "steps"] == ["accelerator-unknown"]


@pytest.mark.parametrize(
    ("gpus", "device", "name"),
    [
        ('{"id": 0, "name": "AMD Instinct MI300X"}, {"id": 1, "name": "AMD Instinct MI300X"}', 5,
         "AMD Instinct MI300X"),
        ('{"id": 0, "name": ""}', 2, "AMD GPU"),
        ('{"id": 0, "name": "MI300X"}, {"id": 1, "name": "MI210"}', 5, ""),
        ('{"id": 0, "name": "MI300X"}, {"id": 1, "name": "MI210"}', 1, "MI210"),
    ],
)  # fmt: skip
def test_amd_gpus_go_by_numbers_that_the_head_may_not_have(
    tmp_path: Path, gpus: str, device: int, name: str
) -> None:
    events = loop("cuda_runtime", "hipLaunchKernel", "kernel", device)
    (found,) = read(tmp_path, events, gpus).trace.devices
    assert (found.ordinal, found.name) == (device, name)


def test_whose_calls_they_are() -> None:
    assert accelerator_of({"cuda_runtime": 3}, ["cudaLaunchKernel"], []) == "CUDA"
    assert accelerator_of({}, ["urgent", "hippo", "zebra"], []) == "CUDA"
    assert accelerator_of({"privateuse1_driver": 1}, [], ["Ascend910B"]) == "Ascend"
