#!/usr/bin/env python
"""Print the tables of docs/simulator.md: what the simulator predicts beside what was measured.

python scripts/simulator_tables.py measured    against an H100 (tests/sim/data/h100-steps.json)
python scripts/simulator_tables.py article     against the GPT-2 token generation article
python scripts/simulator_tables.py host        the same with a faster host
python scripts/simulator_tables.py bench       against the timings of docs/h100.md (minutes)
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import sys
from pathlib import Path
from typing import Any

from msgspec import structs

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from harness.analysis.gains.gpu import Gpu, load_gpu  # noqa: E402
from harness.bench.figures import CellFigures, load  # noqa: E402
from harness.bench.store import Store  # noqa: E402
from harness.decode.workload import Workload  # noqa: E402
from harness.simgpu.forward import ShapeForward, build_meta  # noqa: E402
from harness.simgpu.grid import Cell, cell, window  # noqa: E402

MEASURED = ROOT / "tests" / "sim" / "data" / "h100-steps.json"
BENCHED = (ROOT / "traces" / "h100-article.db", ROOT / "traces" / "h100-graphs.db")
FITTED = ("kv-cache", 1)
"""Strategy and batch size of the one cell that the host's time is fitted to."""
COMPUTED = ("op_ns", "view_op_ns", "compiled_entry_ns", "compiled_kernel_ns")
"""What the host computes, as against the calls it makes."""


@functools.cache
def shapes(dtype: str) -> ShapeForward:
    return ShapeForward(build_meta(Workload(dtype=dtype)), eos_id=-1)


@functools.cache
def predicted(
    strategy: str, batch: int, gpu: str = "l40s", tokens: int = 100, dtype: str = "float32",
    host: float = 1.0,
) -> Cell:  # fmt: skip
    """One cell; `host` is the host's computing time as a share of the file's."""
    workload = Workload(
        strategy=strategy, batch_size=batch, max_new_tokens=tokens, dtype=dtype, eos_id=-1
    )
    return simulated(workload, gpu, host)


def simulated(workload: Workload, gpu: str, host: float) -> Cell:
    """The same of any workload."""
    workload = dataclasses.replace(workload, device="cpu", steps=window(workload))
    return cell(workload, with_host(load_gpu(gpu), host), shapes(workload.dtype))


def with_host(gpu: Gpu, share: float) -> Gpu:
    values = dict(gpu.values)
    for key in COMPUTED:
        values["host", key] *= share
    return structs.replace(gpu, values=values)


def measured_row(row: dict[str, Any]) -> str:
    """One line of the H100 table."""
    found = predicted(
        row["strategy"], row["batch_size"], "h100", row["max_new_tokens"], row["dtype"]
    )
    fastest, middle = row["fastest_step_ns"], row["step_ns"]
    return (
        f"| {row['strategy']} | {row['batch_size']} | {row['dtype']} | {row['max_new_tokens']} "
        f"| {found.step_ns / 1e3:,.0f} | {fastest / 1e3:,.0f} | {found.step_ns / fastest - 1:+.0%} "
        f"| {middle / 1e3:,.0f} | {found.step_ns / middle - 1:+.0%} |"
    )


def measured() -> list[str]:
    rows = json.loads(MEASURED.read_text())["rows"]
    return [
        "| strategy | batch | dtype | tokens | predicted µs | fastest µs | error | median µs "
        "| error |",
        "|---|---:|---|---:|---:|---:|---:|---:|---:|",
        *map(measured_row, rows),
    ]


def article() -> list[str]:
    sync, late = predicted("kv-cache", 16), predicted("pipelined", 16)
    lines = [
        "| finding | article | predicted | |",
        "|---|---|---|---|",
        f"| idle between steps, batch 16, synchronous | about 110 µs | "
        f"{sync.steady.inter_ns / 1e3:.1f} µs | {sync.steady.inter_ns / 110e3 - 1:+.0%} |",
        f"| the same, pipelined | none | {late.steady.inter_ns / 1e3:.1f} µs (the stream's own "
        f"gap) | {late.steady.inter_ns / sync.steady.inter_ns - 1:+.0%} of the above |",
    ]
    gains = {
        batch: 1 - predicted("pipelined", batch).step_ns / predicted("kv-cache", batch).step_ns
        for batch in (1, 4, 16, 32, 64, 128, 256)
    }
    shown = ", ".join(f"{batch}: {gain:.1%}" for batch, gain in gains.items())
    lines.append(f"| gain of pipelining by batch | falls, at most 11.6 % | {shown} | see below |")
    for name, claim in (("baseline", "quadratic"), ("kv-cache", "linear")):
        seconds = [predicted(name, 32, tokens=n).step_ns * (n - 1) / 1e9 for n in (100, 200, 400)]
        ratio = seconds[2] / seconds[0]
        lines.append(
            f"| {name}, batch 32, 100 / 200 / 400 tokens | {claim} | "
            f"{' / '.join(f'{s:.2f}' for s in seconds)} s: x {ratio:.1f} for x 4 "
            f"| tokens^{math.log(ratio, 4):.1f} |"
        )
    base = predicted("baseline", 32).step_ns
    gain = base / predicted("pipelined-compiled", 32).step_ns
    lines.append(
        f"| compiled + static + pipelined against the baseline, batch 32, 100 tokens | near 5 x | "
        f"{gain:.1f} x | {gain / 5 - 1:+.0%} |"
    )
    return lines


def host() -> list[str]:
    lines = [
        "| host's computing time | batch | step µs, synchronous | gap µs | limiter | step µs, "
        "pipelined | gap µs | gain |",
        "|---|---:|---:|---:|---|---:|---:|---:|",
    ]
    for share in (1.0, 0.5, 0.25, 0.125):
        for batch in (1, 4, 16, 64, 256):
            a = predicted("kv-cache", batch, host=share)
            b = predicted("pipelined", batch, host=share)
            lines.append(
                f"| x {share:g} | {batch} | {a.step_ns / 1e3:,.0f} | {a.steady.inter_ns / 1e3:.1f} "
                f"| {a.steady.limiter} | {b.step_ns / 1e3:,.0f} | {b.steady.inter_ns / 1e3:.1f} "
                f"| {1 - b.step_ns / a.step_ns:.1%} |"
            )
    return lines


def benched() -> list[CellFigures]:
    """The measured cells that the simulator can run: it has no graph that loops by itself."""
    found = []
    for path in BENCHED:
        with Store.reading(path) as store:
            found += list(load(store).cells.values())
    return [one for one in found if one.cell["engine"] == "loop"]


def workload_of(figures: CellFigures) -> Workload:
    known = {field.name for field in dataclasses.fields(Workload)}
    values = {k: v for k, v in json.loads(figures.cell["workload"]).items() if k in known}
    return Workload(**values)


def fitted_host(figures: CellFigures) -> float:
    """The share of the file's computing time that gives this cell's measured step."""
    measured = figures.step_ns
    assert measured is not None
    workload = workload_of(figures)
    whole, half = (simulated(workload, "h100", share).step_ns for share in (1.0, 0.5))
    return 1 - (whole - measured) / (2 * (whole - half))  # bound by launches: a straight line


def bench() -> list[str]:
    cells = benched()
    fitted = next(one for one in cells if (one.strategy, one.cell["batch_size"]) == FITTED)
    share = fitted_host(fitted)
    lines = [
        f"The host's computing time fitted to one cell, {FITTED[0]} at batch {FITTED[1]}: "
        f"x {share:.3f} of the file's.",
        "",
        "| strategy | batch | tokens | measured µs | as shipped µs | error | fitted µs | error |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    errors: dict[str, tuple[list[float], list[float]]] = {}
    for one in cells:
        workload, measured = workload_of(one), one.step_ns
        assert measured is not None
        shipped, refit = (simulated(workload, "h100", host).step_ns for host in (1.0, share))
        name = one.strategy + (" (fitted)" if one is fitted else "")
        print(name, file=sys.stderr)
        lines.append(
            f"| {name} | {workload.batch_size} | {workload.max_new_tokens} | {measured / 1e3:,.0f} "
            f"| {shipped / 1e3:,.0f} | {shipped / measured - 1:+.0%} "
            f"| {refit / 1e3:,.0f} | {refit / measured - 1:+.0%} |"
        )
        if one is not fitted:
            mine = errors.setdefault(str(one.cell["execution"]), ([], []))
            mine[0].append(abs(shipped / measured - 1))
            mine[1].append(abs(refit / measured - 1))
    lines += [
        "",
        "| mean error, of what was not fitted | cells | as shipped | fitted |",
        "|---|---:|---:|---:|",
    ]
    for execution, (shipped_errors, refit_errors) in errors.items():
        count = len(shipped_errors)
        lines.append(
            f"| {execution} | {count} | {sum(shipped_errors) / count:.0%} "
            f"| {sum(refit_errors) / count:.0%} |"
        )
    return lines


TABLES = {"measured": measured, "article": article, "host": host, "bench": bench}

if __name__ == "__main__":
    asked = sys.argv[1:]
    if not asked or not set(asked) <= TABLES.keys():
        sys.exit(__doc__)
    for which in asked:
        print("\n".join(TABLES[which]()))
        print()
