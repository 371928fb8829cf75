#!/usr/bin/env python
"""Time `harness gaps` on a torch.profiler trace against Holistic Trace Analysis, same file.

    python benchmarks/kineto_vs_hta.py --hta-python VENV/bin/python [--trace FILE] [--copies 100]

HTA (`pip install HolisticTraceAnalysis`) lives in an environment of its own, because it wants its
own versions of pandas and plotly. Every entry is a whole process; entries take turns. HTA computes
its idle time breakdown (host wait, kernel wait, other) for one rank, without plots; ours computes
idle time by step and by cause. Both print what they found: one stream's idle time is the device's
where there is one stream. (HTA 0.5.0's temporal breakdown, which has busy time too, fails its own
assertion on recordings whose times no longer fit a float to the nanosecond.)

Without --trace the file is a real recording (tests/kineto/data), repeated in time.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from timed import Entry, machine

HERE = Path(__file__).parent
RECORDING = HERE.parent / "tests" / "kineto" / "data" / "h100_decode_sync.json.gz"

HTA = """
import os, sys
from hta.trace_analysis import TraceAnalysis
analysis = TraceAnalysis(trace_files={0: sys.argv[1]}, trace_dir=os.path.dirname(sys.argv[1]))
table, _ = analysis.get_idle_time_breakdown(ranks=[0], visualize=False)
print("idle by category, streams added up",
      table.groupby("idle_category")["idle_time"].sum().to_dict(), "us")
"""

OURS = """
import sys
from harness.analysis.analyze import analyze
report = analyze(sys.argv[1])
for device in report.devices:
    print("busy", device.busy_ns / 1000, "idle", device.idle_ns / 1000, "us; idle by cause",
          {k: v / 1000 for k, v in device.causes.items() if v}, "us")
"""


def repeated(target: Path, copies: int) -> None:
    """The recording `copies` times in a row, in Kineto's layout; ids stay unique."""
    document = json.loads(gzip.decompress(RECORDING.read_bytes()), parse_float=str)
    events = document.pop("traceEvents")
    timed = [e for e in events if e.get("ph") in ("X", "s", "f")]
    ns = [int(e["ts"].replace(".", "")) for e in timed]  # microseconds, all with three decimals
    length = max(ns) - min(ns) + 1_000_000
    highest = max(
        (e["args"].get("correlation", 0) for e in timed if isinstance(e.get("args"), dict)),
        default=0,
    )
    with target.open("w") as file:
        file.write(json.dumps(document)[:-1] + ',\n  "traceEvents": [')
        for event in events:
            if event.get("ph") == "M":
                file.write("\n  " + json.dumps(event) + ",")
        for copy in range(copies):
            for event, at in zip(timed, ns, strict=True):
                shifted = at + copy * length
                body = dict(event, ts="@")
                if "id" in body:
                    body["id"] += copy * highest
                if isinstance(body.get("args"), dict) and "correlation" in body["args"]:
                    body["args"] = body["args"] | {
                        "correlation": body["args"]["correlation"] + copy * highest
                    }
                text = json.dumps(body).replace('"@"', f"{shifted // 1000}.{shifted % 1000:03}")
                if "dur" in body:
                    text = text.replace(f'"dur": "{body["dur"]}"', f'"dur": {body["dur"]}')
                file.write("\n  " + text + ",")
        file.write('\n  {"name": "Record Window End", "ph": "i", "s": "g", "pid": "", "tid": "", ')
        file.write('"ts": 9999999999999.999}\n  ]\n}')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hta-python", required=True, help="python of an environment with HTA")
    parser.add_argument("--trace", type=Path, help="a torch.profiler trace, .json or .json.gz")
    parser.add_argument("--copies", type=int, default=100, help="how often to repeat the recording")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--zip", action="store_true", help="compare on the gzipped file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        trace = options.trace
        if trace is None:
            trace = Path(folder) / "grown.json"
            make = [sys.executable, __file__, "--hta-python", "-", "--grow", str(trace)]
            subprocess.run([*make, "--copies", str(options.copies)], check=True)
        if options.zip and trace.suffix != ".gz":
            zipped = Path(folder) / (trace.name + ".gz")
            with trace.open("rb") as source, gzip.open(zipped, "wb", 6) as target:
                while block := source.read(1 << 20):
                    target.write(block)
            trace = zipped
        entries = [
            Entry("harness gaps", [sys.executable, "-m", "harness", "gaps", str(trace),
                                   "--format", "json"]),
            Entry("the same figures, library", [sys.executable, "-c", OURS, str(trace)]),
            Entry("HTA idle time breakdown", [options.hta_python, "-c", HTA, str(trace)]),
        ]  # fmt: skip
        for _ in range(options.repeats):
            for entry in entries:
                entry.run()
        size = trace.stat().st_size / 1e6
    print(f"{trace.name}: {size:.0f} MB; {'; '.join(machine())}")
    print(f"median of {options.repeats}, entries in turn")
    ours = entries[0]
    print(f"{'':28} {'wall s':>8} {'CPU s':>8} {'peak MB':>8} {'x wall':>7} {'x memory':>9}")
    for entry in entries:
        wall, cpu, peak = (
            statistics.median(values) for values in (entry.wall_s, entry.cpu_s, entry.peak_mb)
        )
        times = wall / statistics.median(ours.wall_s)
        memory = peak / statistics.median(ours.peak_mb)
        print(f"{entry.name:28} {wall:8.2f} {cpu:8.2f} {peak:8.0f} {times:7.1f} {memory:9.1f}")
    for entry in entries[1:]:
        print(f"{entry.name}: {entry.said}")


if __name__ == "__main__":
    if "--grow" in sys.argv:
        at = sys.argv.index("--grow")
        repeated(Path(sys.argv[at + 1]), int(sys.argv[sys.argv.index("--copies") + 1]))
    else:
        main()
