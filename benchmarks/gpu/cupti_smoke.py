"""One command that exercises CUPTI recording on a real GPU; about a minute and a half.

    python benchmarks/gpu/cupti_smoke.py OUTPUT_FOLDER

Records the same small loop with torch's profiler calls and with a raw cudaProfilerStart (twice,
in turn, for what recording costs), with CUDA graphs as nodes and as a whole, and over
torch.profiler; then one strategy with its graphs as a whole through `harness profile`. Prints one
line a case and writes smoke.json. Exit code 1 when a check fails. Where graphs as a whole kill the
target, two variants are tried as well, and the place is told. Needs a C compiler, numpy, torch with
CUDA, nvtx and the harness's own dependencies.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from harness.capture.base import CaptureConfig, CaptureRange
from harness.capture.cupti import build, find, plan
from harness.capture.cupti.backend import CuptiBackend

CASE_LIMIT_S = 60
LOOP = Path(__file__).with_name("loop.py")
STEPS = "40:240"
CASES = {
    # name: (road, mode, graph level, loop options)
    "shim-graph-whole": ("shim", "torch", "graph", ("--graph",)),
    "shim": ("shim", "torch", "node", ()),
    "shim-raw": ("shim", "raw", "node", ()),
    "shim-again": ("shim", "torch", "node", ()),
    "shim-raw-again": ("shim", "raw", "node", ()),
    "shim-graph-nodes": ("shim", "torch", "node", ("--graph",)),
    "torch": ("torch", "torch", "node", ()),
}
# Tried where shim-graph-whole fails: enabled at other moments.
VARIANTS = {
    "late-graph-whole": ("shim", "torch", "graph", ("--graph",)),
    "early-graph-whole": ("shim", "torch", "graph", ("--graph",)),
}
GRAPH_FROM = {"late-graph-whole": "start", "early-graph-whole": "with kernels"}
# Calls that are not recorded (libcupti of CUDA 12.6 and newer).
LEFT_OUT = ("cudaGetDevice", "cudaStreamIsCapturing", "cuKernelGetFunction", "cuOccupancy")
RANGES = {
    "torch": "cudaProfilerApi",
    "raw": "cudaProfilerApi",
    "nvtx": "nvtx:window",
    "none": "none",
}


class Quiet:
    """Progress that keeps the target's output."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def stage(self, text: str) -> None:
        self.said.append(f"[{text}]\n")

    note = stage

    def output(self, text: str) -> None:
        self.said.append(text)

    def tick(self, elapsed_s: float) -> None:
        pass


def counts(sqlite: Path) -> dict:
    """Rows by table, and the kernels' total time, count by name."""
    with contextlib.closing(sqlite3.connect(sqlite)) as base:
        tables = [name for (name,) in base.execute("SELECT name FROM sqlite_master")]
        rows = {
            name.removeprefix("CUPTI_ACTIVITY_KIND_"): base.execute(
                f"SELECT count(*) FROM {name}"
            ).fetchone()[0]
            for name in tables
            if name.startswith("CUPTI_ACTIVITY") or name in ("NVTX_EVENTS", "ThreadNames")
        }
        kernels = (
            base.execute(
                "SELECT s.value, count(*), sum(k.end - k.start) FROM CUPTI_ACTIVITY_KIND_KERNEL k "
                "JOIN StringIds s ON s.id = k.shortName GROUP BY 1 ORDER BY 3 DESC"
            ).fetchall()
            if "KERNEL" in rows
            else []
        )
        calls = base.execute(
            "SELECT s.value, count(*), sum(r.end - r.start) FROM CUPTI_ACTIVITY_KIND_RUNTIME r "
            "JOIN StringIds s ON s.id = r.nameId GROUP BY 1 ORDER BY 2 DESC LIMIT 25"
        ).fetchall()
        ranges = base.execute(
            "SELECT COALESCE(s.value, n.text), count(*) FROM NVTX_EVENTS n LEFT JOIN StringIds s "
            "ON s.id = n.textId WHERE COALESCE(s.value, n.text) NOT LIKE 'Step %' GROUP BY 1"
        ).fetchall()
        syncs = (
            base.execute(
                "SELECT syncType, count(*), sum(end - start) FROM "
                "CUPTI_ACTIVITY_KIND_SYNCHRONIZATION GROUP BY 1"
            ).fetchall()
            if "SYNCHRONIZATION" in rows
            else []
        )
        overhead = (
            base.execute(
                "SELECT s.value, count(*), round(sum(end - start) / 1e6, 3) FROM "
                "CUPTI_ACTIVITY_KIND_OVERHEAD o LEFT JOIN StringIds s ON s.id = o.nameId GROUP BY 1"
            ).fetchall()
            if "OVERHEAD" in rows
            else []
        )
    return {
        "rows": rows,
        "kernels": kernels,
        "kernel_count": sum(count for _, count, _ in kernels),
        "kernel_ns": sum(total for *_, total in kernels),
        "calls": calls,
        "ranges": ranges,
        "syncs": syncs,
        "left_out_seen": [name for name, *_ in calls if name.startswith(LEFT_OUT)],
        "overhead_ms": overhead,
    }


def where_it_dies(folder: Path) -> tuple[tuple[str, str], ...]:
    """Variables with which a target that crashes says where."""
    library = folder / "segv.so"
    source = Path(__file__).with_name("segv.c")
    compiler = build.find_compiler() or ["cc"]
    subprocess.run([*compiler, "-shared", "-fPIC", "-o", library, source], check=True)
    return (("LD_PRELOAD", str(library)), ("PYTHONFAULTHANDLER", "0"))


def record(name: str, output: Path) -> dict:
    """One case, as a dict; never raises."""
    road, mode, level, more = (CASES | VARIANTS)[name]
    folder = Path(tempfile.mkdtemp(prefix=f"smoke-{name}-"))
    progress = Quiet()
    begun = time.monotonic()
    result: dict = {"case": name}
    try:
        made = CuptiBackend(road, graph_from=GRAPH_FROM.get(name, "attach")).record(
            CaptureConfig(
                argv=(sys.executable, str(LOOP), "--steps", STEPS, "--mode", mode, *more),
                device="cuda",
                workdir=folder,
                capture_range=CaptureRange.parse(RANGES[mode]),
                graph_trace=level,
                env=where_it_dies(folder) if level == "graph" else (),
            ),
            progress,
        )
        result |= {
            "exit_code": made.exit_code,
            "completeness": dict(made.completeness),
            "notes": list(made.notes),
            "durations_s": dict(made.durations_s),
            "loop": json.loads("".join(progress.said).strip().splitlines()[-2]),
            **counts(made.sqlite),
        }
        host = json.loads((folder / "host.json").read_text())
        result["host"] = {key: host[key] for key in ("session", "threads", "devices", "versions")}
        if name in ("shim", "shim-graph-whole"):
            shutil.copy(made.sqlite, output / f"{name}.sqlite")
        gaps = subprocess.run(
            [sys.executable, "-m", "harness", "gaps", str(made.sqlite)],
            capture_output=True, text=True, cwd=Path(__file__).resolve().parents[2], check=False,
        )  # fmt: skip
        result["gaps"] = (gaps.stdout + gaps.stderr)[-3000:]
        result["gaps_exit"] = gaps.returncode
    except Exception as error:
        result |= {"error": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()}
        with contextlib.suppress(OSError):
            result["host_json"] = (folder / "host.json").read_text()[:4000]
    result["said"] = "".join(progress.said)[-4000:]
    result["wall_s"] = round(time.monotonic() - begun, 1)
    shutil.rmtree(folder, ignore_errors=True)
    return result


def guarded(name: str, output: Path) -> dict:
    """One case in a process of its own: a hang is a failure of that case alone."""
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder, "case.json")
        argv = [sys.executable, __file__, str(output), name, str(told)]
        child = subprocess.Popen(argv, start_new_session=True)
        try:
            child.wait(timeout=CASE_LIMIT_S)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            said = f"no end after {CASE_LIMIT_S} s"
            return {"case": name, "error": said, "said": "", "wall_s": CASE_LIMIT_S}
        try:
            return json.loads(told.read_text())
        except (OSError, ValueError):
            said = f"died with {child.returncode}"
            return {"case": name, "error": said, "said": "", "wall_s": 0}


def checks(results: dict[str, dict]) -> list[str]:
    """What is wrong, one line each."""
    wrong = []
    for name, result in results.items():
        if "error" in result:
            wrong.append(f"{name}: {result['error']}")
            continue
        found = result["completeness"]
        if not found["complete"]:
            wrong.append(f"{name}: incomplete: {found}")
        steps = result["loop"]["steps"]
        if found["ranges_issued"] < 3 * steps:
            wrong.append(f"{name}: {found['ranges_issued']} ranges issued of {3 * steps}")
        if result["gaps_exit"]:
            wrong.append(f"{name}: harness gaps exits with {result['gaps_exit']}")
        graphs = result["rows"].get("GRAPH_TRACE", 0)
        if name.endswith("graph-whole") and graphs != steps:
            wrong.append(f"{name}: {graphs} graph rows of {steps}")
        if name.startswith("shim") and result["left_out_seen"]:
            wrong.append(f"{name}: recorded {result['left_out_seen']}")
    pair = [results.get(name, {}) for name in ("shim", "torch")]
    if all("kernel_ns" in item for item in pair):
        ours, theirs = pair
        if ours["kernel_count"] != theirs["kernel_count"]:
            wrong.append(f"kernels: shim {ours['kernel_count']}, torch {theirs['kernel_count']}")
        difference = ours["kernel_ns"] / max(theirs["kernel_ns"], 1) - 1
        if abs(difference) > 0.05:
            wrong.append(f"kernel time differs by {difference:+.1%} between the roads")
    return wrong


def show(results: dict[str, dict], name: str, output: Path) -> None:
    """Run one case and print its line."""
    result = results[name] = guarded(name, output)
    if "error" in result:
        print(f"{name}: ERROR {result['error']} ({result['wall_s']} s)")
        print("   ", result["said"][-3000:].replace("\n", "\n    "), flush=True)
        return
    done = result["completeness"]
    print(
        f"{name}: {result['kernel_count']} kernels, {result['kernel_ns'] / 1e6:.3f} ms; "
        f"{result['rows'].get('GRAPH_TRACE', 0)} graphs; "
        f"{result['rows'].get('RUNTIME', 0)} calls; "
        f"launches {done['kernels']}/{done['launches']} with kernel; "
        f"ranges {done['ranges_found']}/{done['ranges_issued']}, "
        f"through NVTX {done['ranges_seen_by_nvtx']}; "
        f"dropped {done['dropped']}; zero {done['zero_timestamps']}; "
        f"early {done['operations_before_launch']}; "
        f"orphan {done['operations_without_launch']}; "
        f"stop {done['stop_result']}; "
        f"clock error {done['clock_error_ns']} ns, shift {done['clock_shift_ns']} ns; "
        f"{result['loop']['step_us']} µs a step, median {result['loop']['step_p50_us']}; "
        f"overhead {result['overhead_ms']}; {result['wall_s']} s",
        flush=True,
    )


def profiled(output: Path) -> dict:
    """`harness profile` of a strategy with its graphs as a whole, as a user runs it."""
    begun = time.monotonic()
    argv = [sys.executable, "-m", "harness", "profile", "--capture", "cupti", "--strategy",
            "cuda-graph", "--graph-trace", "graph", "--max-new-tokens", "60", "--name", "whole",
            "--output-dir", str(output)]  # fmt: skip
    child = subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        cwd=Path(__file__).resolve().parents[2],
    )  # fmt: skip
    try:
        out, said = child.communicate(timeout=CASE_LIMIT_S)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        out, said = child.communicate()
    took = time.monotonic() - begun
    print(f"harness profile: exit code {child.returncode}, {took:.1f} s", flush=True)
    if child.returncode:
        print("   ", said[-1500:].replace("\n", "\n    "))
    return {"exit_code": child.returncode, "stderr": said[-3000:], "stdout": out}


def main() -> int:
    output = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    output.mkdir(parents=True, exist_ok=True)
    if len(sys.argv) > 3:
        Path(sys.argv[3]).write_text(json.dumps(record(sys.argv[2], output)))
        return 0
    found = find.found()
    print("found:", json.dumps(found))
    road = plan.choose_road(found, "shim")
    begun = time.monotonic()
    shim = build.build(road.includes, road.compiler)
    print(f"shim: {shim} in {time.monotonic() - begun:.2f} s")
    bare = subprocess.run(
        [sys.executable, str(LOOP), "--steps", STEPS, "--mode", "off"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    print("no profiler:", bare.stdout.strip() or bare.stderr[-500:])
    results = {}
    for name in CASES:
        show(results, name, output)
        if name == "shim-graph-whole" and "error" in results[name]:
            for variant in VARIANTS:
                show(results, variant, output)
    strategy = profiled(output)
    wrong = checks(results)
    if strategy["exit_code"]:
        wrong.append(f"harness profile --graph-trace graph: exit code {strategy['exit_code']}")
    (output / "smoke.json").write_text(
        json.dumps(
            {
                "found": found,
                "bare": bare.stdout,
                "results": results,
                "strategy": strategy,
                "wrong": wrong,
            },
            indent=1,
        )
    )
    for line in wrong:
        print("WRONG:", line)
    print("smoke:", "FAILED" if wrong else "passed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
