"""What is wrong with the figures of a session: each with its number and a remedy."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from ..analysis.model.remark import Warned
from ..analysis.statistics.bootstrap import MIN_RUNS
from ..environment import Gpu, GpuFacts, throttled_between
from .figures import CellFigures, Figures
from .remarks import (
    CacheGivenBack,
    CellsFailed,
    ClocksMoved,
    CompiledInRun,
    EndedEarly,
    NotWarm,
    OtherWork,
    Outliers,
    ThrottledClocks,
    TokensDiffer,
    TooFewRuns,
    UnsafeStrategy,
    Unstable,
)
from .store import Json

UNSTABLE = 0.05
"""Relative standard deviation from which runs count as unstable."""
OUTLIER = 1.5
"""Longest run over the median from which a single run is named."""
CLOCKS_MOVED = 0.05
THROTTLED_SHARE = 0.01
HARMLESS = ("gpu_idle", "applications_clocks_setting", "counters_gpu_idle")
_NAMED = 3


def warnings(figures: Figures) -> list[Warned]:
    """One line each, the gravest first; the same trouble of many cells is said once."""
    cells = [cell for cell in figures.cells.values() if cell.runs]
    return [
        *_stopped_early(cells),
        *_recompiled(cells),
        *_unlike_tokens(cells),
        *_unsafe(cells),
        *_throttled(figures),
        *_clocks(figures),
        *_load(figures),
        *_retries(cells),
        *_unstable(cells),
        *_outliers(cells),
        *_not_warm(cells),
        *_few(figures),
        *_failed(figures),
    ]


def _list(items: list[str]) -> str:
    more = len(items) - _NAMED
    return ", ".join(items[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _few(figures: Figures) -> Iterator[Warned]:
    few = [c for c in figures.cells.values() if not c.error and len(c.runs) < MIN_RUNS]
    if few:
        counts = sorted({len(c.runs) for c in few})
        span = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        budget = figures.session["time_budget_s"] is not None
        option = "--time-budget" if budget else "--rounds"
        yield TooFewRuns(
            f"too few runs: {len(few)} of {len(figures.cells)} cells have {span}, the interval of "
            f"a median needs {MIN_RUNS} for 95% (their range stands in brackets); raise {option}, "
            "or --resume"
        )


def _unstable(cells: list[CellFigures]) -> Iterator[Warned]:
    found = []
    for cell in cells:
        if cell.std_ns is not None and cell.std_ns > UNSTABLE * cell.wall.mean():
            found.append((cell.std_ns / cell.wall.mean(), cell.key))
    if found:
        found.sort(reverse=True)
        listed = _list([f"{key} {share:.0%}" for share, key in found])
        yield Unstable(
            f"unstable: standard deviation over {UNSTABLE:.0%} of the mean in {len(found)} of "
            f"{len(cells)} cells ({listed}); end other programs, lock the clocks "
            "(nvidia-smi -lgc), raise --rounds, and read the median"
        )


def _outliers(cells: list[CellFigures]) -> Iterator[Warned]:
    found = []
    for cell in cells:
        if len(cell.runs) >= 3 and cell.wall.max() > OUTLIER * np.median(cell.wall):
            worst = int(cell.wall.argmax())
            times = cell.wall[worst] / np.median(cell.wall)
            found.append(f"{cell.key} round {cell.runs[worst]['round']} {times:.1f}x")
    if found:
        yield Outliers(
            f"outliers: {len(found)} of {len(cells)} cells have a run over {OUTLIER}x their median "
            f"({_list(found)}); medians bear it, means do not"
        )


def _stopped_early(cells: list[CellFigures]) -> Iterator[Warned]:
    short = [
        f"{c.key} after {c.most('steps_kept')} of {c.cell['max_new_tokens']}"
        for c in cells
        if (c.most("steps_kept") or 0) < c.cell["max_new_tokens"]
    ]
    if short:
        yield EndedEarly(
            f"every row ended early in {len(short)} of {len(cells)} cells ({_list(short)}): their "
            "runtimes are not of the length asked for; add --eos-id -1 to generate to the end"
        )


def _recompiled(cells: list[CellFigures]) -> Iterator[Warned]:
    found = [f"{c.key} {c.most('compiled_in_run')}" for c in cells if c.most("compiled_in_run")]
    if found:
        yield CompiledInRun(
            f"compiled inside a timed run: {_list(found)} graphs; its time includes compiling, "
            "raise --warmup"
        )


def _unlike_tokens(cells: list[CellFigures]) -> Iterator[Warned]:
    found = [c.key for c in cells if len({run["tokens_sha256"] for run in c.runs}) > 1]
    if found:
        yield TokensDiffer(
            f"tokens differ from run to run in {_list(found)}; use --temperature 0 and a strategy "
            "that `harness strategies` calls safe"
        )


def _unsafe(cells: list[CellFigures]) -> Iterator[Warned]:
    found = sorted({c.strategy for c in cells if not c.cell["safe"]})
    if found:
        yield UnsafeStrategy(
            f"{_list(found)} may read a stale stop flag: tokens are not guaranteed; "
            "shown for comparison, use pipelined or deferred"
        )


def _retries(cells: list[CellFigures]) -> Iterator[Warned]:
    found = [
        f"{c.key} {c.most('allocation_retries')}" for c in cells if c.most("allocation_retries")
    ]
    if found:
        yield CacheGivenBack(
            f"the allocator ran out and gave its cache back in {_list(found)} (times in a run): "
            "device memory was full; use a smaller batch or the expandable allocator"
        )


def _not_warm(cells: list[CellFigures]) -> Iterator[Warned]:
    found = [c.key for c in cells if not c.runs[0]["stable"]]
    if found:
        yield NotWarm(
            f"not yet stable after warming up: {_list(found)} (successive runs differ by more "
            "than the limit); raise --warmup, or quieten the machine"
        )


def _failed(figures: Figures) -> Iterator[Warned]:
    reasons: dict[str, list[str]] = {}
    for cell in figures.cells.values():
        if cell.error:
            reasons.setdefault(cell.error, []).append(cell.key)
    for reason, keys in reasons.items():
        yield CellsFailed(f"not measured: {_list(keys)}: {reason}")


def _gpus(figures: Figures) -> list[GpuFacts]:
    """What nvidia-smi said at each round, oldest first."""
    looks = []
    for row in figures.clocks:
        gpus = Json(row["gpus"]).value({}).get("gpus", [])
        looks.append(GpuFacts(tuple(Gpu(**gpu) for gpu in gpus)))
    return [look for look in looks if look.gpus]


def _measured(figures: Figures, look: GpuFacts) -> Gpu | None:
    """The GPU of the session among those of the machine."""
    uuid = str(figures.device.get("uuid") or "").removeprefix("GPU-")
    for gpu in look.gpus:
        if uuid and gpu.uuid and gpu.uuid.removeprefix("GPU-") == uuid:
            return gpu
    return look.gpus[0] if len(look.gpus) == 1 else None


def _throttled(figures: Figures) -> Iterator[Warned]:
    looks = _gpus(figures)
    if len(looks) < 2:
        return
    gpu = _measured(figures, looks[0])
    spent_us = sum(run["visit_ns"] / 1e3 for cell in figures.cells.values() for run in cell.runs)
    # A resumed session, or a driver loaded anew, starts counting afresh: add up look by look.
    held: dict[str, int] = {}
    for before, after in itertools.pairwise(looks):
        reasons = throttled_between(before, after)
        for name, us in reasons.get(gpu.uuid if gpu and gpu.uuid else "", {}).items():
            held[name] = held.get(name, 0) + us
    for name, us in sorted(held.items(), key=lambda item: -item[1]):
        if name not in HARMLESS and us > THROTTLED_SHARE * spent_us:
            yield ThrottledClocks(
                f"throttled clocks: {name} held them down for {us / 1e6:.3g} s of "
                f"{spent_us / 1e6:.3g} s; lower the power or the heat, or lock the clocks below "
                "the limit (nvidia-smi -lgc), and measure again"
            )
    active = {
        reason
        for look in looks
        if (found := _measured(figures, look)) is not None
        for reason in found.throttle
        if reason not in HARMLESS
    }
    if active and not held:
        yield ThrottledClocks(
            f"throttled clocks: nvidia-smi gave {_list(sorted(active))} as the reason between "
            "rounds; lower the power or the heat, or lock the clocks (nvidia-smi -lgc)"
        )


def _clocks(figures: Figures) -> Iterator[Warned]:
    seen = [
        found.sm_clock_mhz
        for look in _gpus(figures)
        if (found := _measured(figures, look)) is not None and found.sm_clock_mhz
    ]
    if len(seen) > 1 and max(seen) - min(seen) > CLOCKS_MOVED * max(seen):
        yield ClocksMoved(
            f"the SM clock moved between {min(seen)} and {max(seen)} MHz (looked at between "
            "rounds); lock it with nvidia-smi -lgc to compare sessions"
        )


def _load(figures: Figures) -> Iterator[Warned]:
    cores = Json(figures.session["host"]).value({}).get("cores")
    first = next((row["load_average"] for row in figures.clocks), None)
    if cores and first is not None and first > cores / 2:
        yield OtherWork(
            f"other work: the load average was {first:.1f} on {cores} cores before the first "
            "round; end other programs and measure again"
        )
