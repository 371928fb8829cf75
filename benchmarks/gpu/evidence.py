"""Hold the analysis against what else is known of the same run, on a real GPU; about two minutes.

    python benchmarks/gpu/evidence.py OUTPUT_FOLDER

1. Injected delays: 500 us of Python between steps must lengthen the cause `host` and nothing else,
   a longer kernel must lengthen busy time alone.
2. CUDA-event step times against the period of the analysis, in the same runs.
3. torch.profiler's own totals, and a union of its rows made here, against `harness gaps`.
4. What recording costs: the same decode loop with and without a profiler, in turn.

Prints a table, writes evidence.json, exits 1 where a figure is off by more than its bound.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
from measure_gpu import Clocked, write_profile

from harness.analysis.analyze import analyze
from harness.analysis.question import Question
from harness.analysis.report import TraceReport
from harness.capture.base import CaptureConfig, CaptureRange
from harness.capture.cupti.backend import CuptiBackend
from harness.decode import models, session
from harness.decode.strategies import resolve
from harness.decode.workload import Workload
from harness.nvtx import Ranges
from harness.runtime import open_runtime

LOOP = Path(__file__).with_name("delayed_loop.py")
DELAY_US = 500
CYCLES = 1_000_000
CASES = {
    "plain": (),
    "host": ("--host-us", str(DELAY_US)),
    "gpu": ("--gpu-cycles", str(2 * CYCLES)),
    "plain again": (),
    "host again": ("--host-us", str(DELAY_US)),
    "gpu again": ("--gpu-cycles", str(2 * CYCLES)),
}
HOST_MOVES, GPU_MOVES = {"host", "idle", "period"}, {"busy", "period"}
NOISE_US = 8
"""What a figure may be off by besides: one or two calls of Python with cold caches."""


class Quiet:
    """Progress that keeps the target's output."""

    def __init__(self) -> None:
        self.said = ""

    def stage(self, text: str) -> None:
        pass

    note = stage

    def output(self, text: str) -> None:
        self.said += text

    def tick(self, elapsed_s: float) -> None:
        pass


def steady_us(report: TraceReport) -> dict[str, float]:
    """Per interior step: period, busy, idle and every cause, us."""
    steady = report.series[0].steady
    assert steady is not None
    found = {"period": steady.period_ns, "busy": steady.busy_ns, "idle": steady.idle_ns}
    found |= {name: ns for name, ns in steady.causes.items() if ns}
    return {name: round(ns / 1000, 2) for name, ns in found.items()}


def delayed(name: str) -> dict[str, Any]:
    """One recording of the delayed loop."""
    with tempfile.TemporaryDirectory() as folder:
        progress = Quiet()
        made = CuptiBackend("shim").record(
            CaptureConfig(
                argv=(sys.executable, str(LOOP), *CASES[name]),
                device="cuda",
                workdir=Path(folder),
                capture_range=CaptureRange.parse("cudaProfilerApi"),
                graph_trace="node",
            ),
            progress,
        )
        report = analyze(made.sqlite, Question())
        told = json.loads(next(line for line in progress.said.splitlines() if line[:1] == "{"))
        return {"case": name, **told, "analysis_us": steady_us(report)}


def check_delays(rows: dict[str, dict[str, Any]]) -> list[str]:
    """What moved that should not, and what did not that should.

    Host times differ from run to run: a figure may be off by what its own two runs differ by.
    """
    wrong = []
    keys = sorted({key for row in rows.values() for key in row["analysis_us"]})

    def pair(name: str, key: str) -> tuple[float, float]:
        """Mean and difference of the two runs of a case."""
        values = [rows[k]["analysis_us"].get(key, 0.0) for k in (name, f"{name} again")]
        return statistics.mean(values), abs(values[0] - values[1])

    def told(name: str, key: str) -> float:
        return statistics.mean(rows[k][key] for k in (name, f"{name} again"))

    for name, by, moves in (
        ("host", told("host", "injected_us") - told("plain", "injected_us"), HOST_MOVES),
        ("gpu", told("gpu", "sleep_us") - told("plain", "sleep_us"), GPU_MOVES),
    ):
        for key in keys:
            (plain, spread), (moved, other) = pair("plain", key), pair(name, key)
            expected = by if key in moves else 0.0
            bound = NOISE_US + spread + other
            line = f"{name:5} {key:10} {plain:9.2f} -> {moved:9.2f} µs: {moved - plain:+8.2f}, "
            line += f"expected {expected:+8.2f}, within {bound:.2f}"
            off = abs(moved - plain - expected) > bound
            print(line + ("   WRONG" if off else ""))
            if off:
                wrong.append(line)
    for name, row in rows.items():
        period, event = row["analysis_us"]["period"], row["event_step_us"]
        line = f"period against CUDA events, {name}: {period:.2f} and {event:.2f} µs"
        print(line)
        if abs(period / event - 1) > 0.02:
            wrong.append(line)
    return wrong


def own_union(events: list[dict[str, Any]]) -> tuple[float, float, float]:
    """(sum, union, extent) of the GPU rows of a torch.profiler trace, us, from the JSON itself."""
    rows = sorted(
        (e["ts"], e["ts"] + e["dur"])
        for e in events
        if e.get("cat") in ("kernel", "gpu_memcpy", "gpu_memset")
    )
    covered, reach = 0.0, rows[0][0]
    for start, end in rows:
        covered += max(0.0, end - max(start, reach))
        reach = max(reach, end)
    return sum(end - start for start, end in rows), covered, reach - rows[0][0]


def profiled(strategy: str, folder: Path, repeats: int = 3) -> tuple[dict[str, Any], list[str]]:
    """One strategy with and without torch.profiler, in turn, and what each side says of it."""
    workload = Workload(strategy=strategy, device="cuda", eos_id=-1, steps=(30, 50))
    model = models.load_model(workload, torch.device("cuda"))
    clocked = Clocked()
    ranges = Ranges(workload.max_new_tokens, make=clocked.make)
    runtime = open_runtime("cuda")
    decoder = session.make_decoder(model, workload, runtime, ranges, resolve(workload))
    decoder.prepare()
    decoder.run()
    with_ns, without_ns = [], []
    for _ in range(repeats):
        done = decoder.run()
        without_ns.append(done.decode_ns / (done.steps_executed - 1))
        profiler = torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA])
        clocked.rows.clear()
        profiler.start()
        done = decoder.run()
        torch.cuda.synchronize()
        profiler.stop()
        with_ns.append(done.decode_ns / (done.steps_executed - 1))
    path = folder / f"evidence-{strategy}.json.gz"
    events = write_profile(profiler, clocked, path)
    report = analyze(path, Question())
    device = report.devices[0]
    total, covered, extent = own_union(events)
    told = sum(event.self_device_time_total for event in profiler.key_averages())
    steady = report.series[0].steady
    assert steady is not None
    row = {
        "strategy": strategy,
        "union_us": round(covered, 3),
        "analysis_busy_us": device.busy_ns / 1000,
        "extent_us": round(extent, 3),
        "analysis_window_us": device.window_ns / 1000,
        "row_sum_us": round(total, 3),
        "torch_profiler_total_us": round(told, 3),
        "event_step_us": round(with_ns[-1] / 1000, 2),
        "analysis_step_us": round(steady.period_ns / 1000, 2),
        "unprofiled_step_us": round(statistics.median(without_ns) / 1000, 2),
        "profiled_step_us": round(statistics.median(with_ns) / 1000, 2),
        "steady": steady_us(report),
        "verdicts": [f"{v.figures} {v.level} {v.code}" for v in report.verdicts],
    }
    wrong = []
    # Times in the JSON are us with three decimals; sums of thousands of them round.
    for ours, theirs, bound in (
        ("analysis_busy_us", "union_us", 1e-5),
        ("analysis_window_us", "extent_us", 1e-5),
        ("torch_profiler_total_us", "row_sum_us", 1e-3),
        ("analysis_step_us", "event_step_us", 0.02),
    ):
        line = f"{strategy}: {ours} {row[ours]:,.2f}, {theirs} {row[theirs]:,.2f}"
        off = abs(row[ours] / row[theirs] - 1) > bound
        print(line + ("   WRONG" if off else ""))
        if off:
            wrong.append(line)
    print(
        f"{strategy}: a step takes {row['unprofiled_step_us']:,.1f} µs without a profiler, "
        f"{row['profiled_step_us']:,.1f} µs with torch.profiler"
    )
    return row, wrong


def main() -> int:
    output = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    output.mkdir(parents=True, exist_ok=True)
    rows = {name: delayed(name) for name in CASES}
    wrong = check_delays(rows)
    compared = []
    for strategy in ("kv-cache", "cuda-graph"):
        row, bad = profiled(strategy, output)
        compared.append(row)
        wrong += bad
    found = {
        "gpu": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "workload": dataclasses.asdict(Workload()),
        "delays": list(rows.values()),
        "profilers": compared,
        "wrong": wrong,
    }
    (output / "evidence.json").write_text(json.dumps(found, indent=1))
    for line in wrong:
        print("WRONG:", line)
    print("evidence:", "FAILED" if wrong else "passed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
