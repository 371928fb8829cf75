"""The tables of a session, as neutral rows: runtime, steps, memory, sweeps, overheads, ranking."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from ..analysis.reports.base import Column, Table, Value
from ..analysis.statistics.interval import CONFIDENCE, Interval
from .figures import Against, CellFigures, Figures, against
from .plan import Section

_WHAT = (
    Column("strategy", "strategy"),
    Column("batch_size", "batch", "int"),
    Column("max_new_tokens", "tokens", "int"),
)


def tables(figures: Figures) -> list[Table]:
    """Every section of the plan in turn; tables that would say nothing are left out."""
    found: list[Table] = []
    for section in figures.plan.sections:
        cells = [figures.cells[key] for key in section.cells if key in figures.cells]
        found += _KINDS[section.kind](section, cells)
    return [table for table in found if table.rows]


def _what(cell: CellFigures) -> tuple[Value, ...]:
    return cell.strategy, cell.cell["batch_size"], cell.cell["max_new_tokens"]


def _interval(low: float | None, high: float | None, scale: float, digits: int) -> str | None:
    if low is None or high is None:
        return None
    return f"{low / scale:.{digits}f}..{high / scale:.{digits}f}"


def _median_interval(found: Interval | None) -> str | None:
    """In seconds; a range that is no 95% interval stands in brackets."""
    if found is None:
        return None
    text = _interval(found.low, found.high, 1e9, 4)
    return text if found.confidence >= CONFIDENCE else f"({text})"


def _tables(section: Section, cells: Sequence[CellFigures]) -> Iterator[Table]:
    yield runtime(cells, f"{section.title}: runtime, s")
    yield speed(cells, f"{section.title}: speed")
    yield memory(cells, f"{section.title}: memory, GB (10^9 bytes)")
    yield preparation(cells, f"{section.title}: before the first run, s")


def runtime(cells: Iterable[CellFigures], title: str) -> Table:
    """Mean, standard deviation, least and most, as the article gives them."""
    rows = []
    for cell in cells:
        if cell.runs:
            wall = cell.wall
            spread = (float(wall.mean()), cell.std_ns, float(wall.min()), float(wall.max()))
            rows.append((*_what(cell), len(wall), *spread))
    return Table(
        "runtime",
        title,
        (
            *_WHAT,
            Column("runs", "runs", "int"),
            Column("mean_ns", "mean", "s"),
            Column("std_ns", "std", "s"),
            Column("min_ns", "min", "s"),
            Column("max_ns", "max", "s"),
        ),
        tuple(rows),
    )


def speed(cells: Iterable[CellFigures], title: str) -> Table:
    """Median with its interval, throughput, time per step, and the share of it that the hardware
    could not avoid."""
    rows = []
    for cell in cells:
        if not cell.runs:
            continue
        executed, kept = cell.most("steps_executed"), cell.most("steps_kept")
        rows.append(
            (
                *_what(cell),
                cell.median_ns,
                _median_interval(cell.median),
                float(np.median(cell.tokens_per_s)),
                cell.step_ns,
                cell.floor_share,
                f"{kept}/{executed}",
            )
        )
    return Table(
        "speed",
        title,
        (
            *_WHAT,
            Column("median_ns", "median s", "s"),
            Column("median_interval_s", "95% interval"),
            Column("tokens_per_s", "tokens/s", "number"),
            Column("step_ns", "step ms", "ms"),
            Column("floor_share", "of floor", "percent"),
            Column("steps_kept_of_executed", "kept"),
        ),
        tuple(rows),
    )


def memory(cells: Iterable[CellFigures], title: str) -> Table:
    """Peaks of the caching allocator; no rows where the device keeps no account."""
    rows = []
    for cell in cells:
        allocated = cell.most("peak_allocated_bytes")
        if allocated is None:
            continue
        rows.append(
            (
                *_what(cell),
                allocated,
                cell.most("peak_reserved_bytes"),
                cell.fragmentation_bytes,
                cell.fragmentation_share,
                cell.most("allocation_retries"),
            )
        )
    return Table(
        "memory",
        title,
        (
            *_WHAT,
            Column("peak_allocated_bytes", "allocated", "gb"),
            Column("peak_reserved_bytes", "reserved", "gb"),
            Column("fragmentation_bytes", "fragm.", "gb"),
            Column("fragmentation_share", "of reserved", "percent"),
            Column("allocation_retries", "retries", "int"),
        ),
        tuple(rows),
    )


def preparation(cells: Iterable[CellFigures], title: str) -> Table:
    """Compiling and capturing, which no runtime includes; only cells that do either."""
    rows = []
    for cell in cells:
        if cell.compile_ns or cell.capture_ns:
            rows.append(
                (*_what(cell), cell.prepare_ns, cell.compile_ns or None, cell.capture_ns or None)
            )
    return Table(
        "preparation",
        title,
        (
            *_WHAT,
            Column("prepare_ns", "prepare", "s"),
            Column("compile_ns", "of it compile", "s"),
            Column("capture_ns", "of it capture", "s"),
        ),
        tuple(rows),
    )


_AGAINST = (
    Column("ratio", "ratio", "ratio"),
    Column("ratio_interval", "95% interval"),
    Column("significant", "signif."),
)


def _against(found: Against | None, *, inverse: bool = False) -> tuple[Value, ...]:
    """(ratio, interval, verdict) of runtimes, or with `inverse` of speeds."""
    if found is None:
        return 1.0, None, "baseline"
    middle = 1 / found.estimate if inverse else found.estimate
    if found.ratio is None:
        return middle, None, "too few"
    low, high = found.ratio.low, found.ratio.high
    if inverse:
        low, high = 1 / high, 1 / low
    return middle, _interval(low, high, 1, 3), "yes" if found.significant else "no"


def sweep(section: Section, cells: Sequence[CellFigures]) -> Iterator[Table]:
    """Runtimes against those of one strategy at the same batch size and length."""
    base = {_what(cell)[1:]: cell for cell in cells if cell.strategy == section.against}
    rows = []
    for cell in cells:
        if not cell.runs:
            continue
        mine = base.get(_what(cell)[1:])
        found = against(mine, cell) if mine is not None and mine is not cell and mine.runs else None
        ratio = _against(found) if found is not None or mine is cell else (None, None, None)
        rows.append((*_what(cell), len(cell.runs), cell.median_ns, *ratio))
    yield Table(
        "sweep",
        f"{section.title}: runtime against {section.against}",
        (
            *_WHAT,
            Column("runs", "runs", "int"),
            Column("median_ns", "median s", "s"),
            *_AGAINST,
        ),
        tuple(rows),
    )


def overhead(section: Section, cells: Sequence[CellFigures]) -> Iterator[Table]:
    """Runtimes against the same cache and execution that never looks whether to stop."""

    def setup(cell: CellFigures) -> tuple[Value, ...]:
        c = cell.cell
        return c["cache"], c["execution"], c["allocator"], c["batch_size"], c["max_new_tokens"]

    ceilings = {setup(cell): cell for cell in cells if cell.cell["stop_check"] == section.against}
    rows = []
    for cell in cells:
        ceiling = ceilings.get(setup(cell))
        if not cell.runs or ceiling is None or not ceiling.runs:
            continue
        found = None if cell is ceiling else against(ceiling, cell)
        rows.append((*_what(cell), cell.cell["stop_check"], cell.median_ns, *_against(found)))
    yield Table(
        "overhead",
        f"{section.title}: runtime against no stop check",
        (
            *_WHAT,
            Column("stop_check", "stop check"),
            Column("median_ns", "median s", "s"),
            *_AGAINST,
        ),
        tuple(rows),
    )


def ranking(section: Section, cells: Sequence[CellFigures]) -> Iterator[Table]:
    """Fastest first at each batch size and length; the speed-up is the baseline's time over it."""
    shapes = dict.fromkeys(_what(cell)[1:] for cell in cells)
    rows = []
    for shape in shapes:
        group = [cell for cell in cells if _what(cell)[1:] == shape and cell.runs]
        base = next((cell for cell in group if cell.strategy == section.against), None)
        for place, cell in enumerate(sorted(group, key=lambda c: c.median_ns or 0.0), start=1):
            found: tuple[Value, ...] = (None, None, None)
            if base is not None:
                found = _against(None if cell is base else against(base, cell), inverse=True)
            rows.append((place, *_what(cell), cell.median_ns, *found))
    yield Table(
        "ranking",
        f"{section.title}: fastest first"
        + (f", speed-up over {section.against}" if section.against else ""),
        (
            Column("rank", "rank", "int"),
            *_WHAT,
            Column("median_ns", "median s", "s"),
            Column("speedup", "speed-up", "ratio"),
            *_AGAINST[1:],
        ),
        tuple(rows),
    )


_KINDS = {"tables": _tables, "sweep": sweep, "overhead": overhead, "ranking": ranking}
