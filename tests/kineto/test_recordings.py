"""Real recordings: on an H100 (tests/kineto/data), and on this machine's CPU with this PyTorch."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from harness.analysis.analyze import analyze
from harness.analysis.idle.assign import find_steps
from harness.analysis.model.schema import SyncType
from harness.analysis.question import StepPattern
from harness.analysis.readers.open import open_trace

DATA = Path(__file__).parent / "data"
RECORDINGS = sorted(DATA.glob("*.json.gz"))


def raw(path: Path) -> list[dict]:
    """The events as Python's own parser reads them, times as exact decimals."""
    text = gzip.decompress(path.read_bytes())
    return json.loads(text, parse_float=Decimal)["traceEvents"]


def test_there_are_recordings() -> None:
    assert len(RECORDINGS) == 7


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda p: p.name.split(".")[0])
def test_every_row_against_pythons_parser(path: Path) -> None:
    events = raw(path)
    trace = open_trace(path)
    span = next(e for e in events if e.get("cat") == "Trace")
    zero = int(span["ts"] * 1000)

    def times(*categories: str) -> Counter:
        return Counter(
            (int(e["ts"] * 1000) - zero, int(e["dur"] * 1000))
            for e in events
            if e.get("cat") in categories
        )

    o, c = trace.operations, trace.calls
    got = Counter(zip(o.start.tolist(), (o.end - o.start).tolist(), strict=True))
    assert got == times("kernel", "gpu_memcpy", "gpu_memset")
    got = Counter(zip(c.start.tolist(), (c.end - c.start).tolist(), strict=True))
    assert got == times("cuda_runtime", "cuda_driver")
    r = trace.ranges
    own = r.domain == 0
    got = Counter(zip(r.start[own].tolist(), (r.end - r.start)[own].tolist(), strict=True))
    assert got == times("user_annotation")
    names = Counter(e["name"] for e in events if e.get("cat") == "kernel")
    assert Counter(trace.strings[i] for i in o.name[o.kind == 0].tolist()) == names
    assert trace.dropped.total == 0
    assert trace.devices[0].name == "NVIDIA H100 80GB HBM3"
    assert trace.source.duration_ns is not None
    assert trace.source.duration_ns >= int(o.end.max())


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda p: p.name.split(".")[0])
def test_busy_time_against_a_simple_count(path: Path) -> None:
    spans = sorted(
        (int(e["ts"] * 1000), int((e["ts"] + e["dur"]) * 1000))
        for e in raw(path)
        if e.get("cat") in ("kernel", "gpu_memcpy", "gpu_memset")
    )
    busy, reach = 0, spans[0][0]
    for start, end in spans:
        busy += max(0, end - max(start, reach))
        reach = max(reach, end)
    report = analyze(path)
    assert report.gaps[0].busy_ns == busy
    assert report.gaps[0].idle_ns == reach - spans[0][0] - busy


@pytest.mark.parametrize(
    ("name", "steps", "operations"),
    [
        ("decode_sync", 12, 76),
        ("decode_side", 12, 76),
        ("decode_deferred", 12, 76),
        ("decode_nocache", 12, None),
        ("decode_graph", 12, 105),
        ("train", 12, None),
    ],
)
def test_profiler_steps_are_steps(name: str, steps: int, operations: int | None) -> None:
    pattern = StepPattern.glob("ProfilerStep#*" if name == "train" else "Step *")
    found = find_steps(open_trace(DATA / f"h100_{name}.json.gz"), (pattern,))
    assert analyze(DATA / f"h100_{name}.json.gz").steps.series[0].number.tolist() == (
        found.series[0].number.tolist()
    )
    (series,) = found.series
    assert len(series) == steps
    assert found.ambiguous == 0
    sizes = np.bincount(series.step_of[series.step_of >= 0], minlength=steps)
    assert (sizes > 50).all()
    if operations is not None:
        assert sizes.tolist() == [operations] * steps


def test_what_drained_the_queue_is_named() -> None:
    """The `.item()` of the stop check, in the user's own range."""
    report = analyze(DATA / "h100_decode_sync.json.gz")
    assert set(report.devices[0].drained_by) == {"Check Stop Condition · cudaStreamSynchronize"}
    assert report.series[0].steady is not None
    assert report.series[0].steady.limiter == "launch"


def test_stream_waits_are_read() -> None:
    trace = open_trace(DATA / "h100_decode_side.json.gz")
    kinds = Counter(SyncType(k) for k in trace.synchronizations.kind.tolist())
    assert kinds[SyncType.STREAM_WAIT_EVENT] == 12
    assert (trace.synchronizations.call >= 0).all()
    names = {trace.calls.names[trace.calls.name[k]] for k in trace.synchronizations.call}
    assert {"cudaStreamWaitEvent", "cudaEventSynchronize"} <= names


def test_inside_a_graph_the_host_is_not_to_blame() -> None:
    report = analyze(DATA / "h100_decode_graph.json.gz")
    causes = report.attributions[0].total
    assert causes["graph"] > 0
    assert causes["unknown"] == 0


def test_cuda_activities_alone_give_device_figures_and_steps_by_repetition() -> None:
    report = analyze(DATA / "h100_decode_cuda_only.json.gz")
    assert [v.code for v in report.verdicts] == ["inferred-steps"]
    assert [len(one) for one in report.steps.series] == [12]
    assert not report.empty


RECORD = """
import sys, torch
from torch.profiler import ProfilerActivity, profile, record_function, schedule
torch.set_num_threads(1)
a = torch.ones(8, 8, requires_grad=True)
for path, stack, name in zip(*[iter(sys.argv[1:])] * 3):
    p = profile(activities=[ProfilerActivity.CPU], with_stack=stack == "stack",
                schedule=schedule(wait=1, warmup=1, active=12, repeat=1),
                on_trace_ready=lambda p: p.export_chrome_trace(path))
    with p:
        for step in range(16):
            with record_function(name):
                loss = (a @ a).sum()
            loss.backward()
            p.step()
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of recordings by this machine's PyTorch, `STACK.ENDING`, and one with a quote."""
    folder = tmp_path_factory.mktemp("recorded")
    wanted = [
        (str(folder / f"{stack}.{ending}"), stack, "Forward, {}[]")
        for stack in ("stack", "plain")
        for ending in ("json", "json.gz")
    ]
    wanted.append((str(folder / "quote.json"), "plain", 'Forward "fast"'))
    command = [sys.executable, "-c", RECORD, *(word for one in wanted for word in one)]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.mark.parametrize("ending", ["json", "json.gz"])
@pytest.mark.parametrize("stack", ["stack", "plain"])
def test_recorded_here_and_now(recorded: Path, ending: str, stack: str) -> None:
    path = recorded / f"{stack}.{ending}"
    report = analyze(path)
    assert [v.code for v in report.verdicts] == ["host-only"]
    (host,) = report.host
    assert host.steps == 12
    data = path.read_bytes()
    text = gzip.decompress(data) if ending.endswith("gz") else data
    events = json.loads(text, parse_float=Decimal)["traceEvents"]
    expected = sorted(
        int(e["dur"] * 1000) for e in events if str(e.get("name")).startswith("ProfilerStep#")
    )
    series = report.steps.series[0]
    assert sorted((series.end - series.start).tolist()) == expected


def test_a_quote_that_pytorch_does_not_escape(recorded: Path) -> None:
    """PyTorch writes names as they are: with a quote in one, its JSON is none, and is read."""
    path = recorded / "quote.json"
    with pytest.raises(ValueError, match="delimiter"):
        json.loads(path.read_bytes())
    trace = open_trace(path)
    assert 'Forward "fast"' in trace.strings.values.values()
