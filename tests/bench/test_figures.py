"""Figures, warnings and tables of sessions whose runs are known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.analysis.reports.base import Terminal
from harness.bench.advice import warnings
from harness.bench.figures import Figures, against, load
from harness.bench.render import render
from harness.bench.store import Store
from harness.bench.tables import tables

from .sessions import GPU, smi, write

STEADY = (10.0, 10.1, 9.9, 10.0, 10.1, 9.9, 10.0)


def figures_of(path: Path, *args: Any, **values: Any) -> Figures:
    write(path, *args, **values)
    with Store.reading(path) as store:
        return load(store)


def test_figures_by_hand(tmp_path: Path) -> None:
    found = figures_of(
        tmp_path / "r.db",
        {"kv-cache": (10.0, 12.0, 14.0)},
        batch=4,
        length=11,
        peak_allocated_bytes=600,
        peak_reserved_bytes=1000,
        allocation_retries=0,
    )
    cell = found.cells["kv-cache b4 t11"]
    assert cell.wall.tolist() == [10e6, 12e6, 14e6]
    assert cell.median_ns == 12e6
    assert cell.std_ns == pytest.approx(2e6)
    assert cell.step_ns == pytest.approx(12e6 / 11, rel=1e-6)
    assert np.median(cell.tokens_per_s) == pytest.approx(4 * 11 / 0.012)
    assert (cell.fragmentation_bytes, cell.fragmentation_share) == (400, 0.4)


def shown(found: Figures, name: str) -> list[dict[str, Any]]:
    table = next(table for table in tables(found) if table.name == name)
    names = [column.name for column in table.columns]
    return [dict(zip(names, row, strict=True)) for row in table.rows]


def test_the_article_s_columns(tmp_path: Path) -> None:
    found = figures_of(tmp_path / "r.db", {"kv-cache": STEADY, "pipelined": STEADY})
    (first, _) = shown(found, "runtime")
    assert first["mean_ns"] == pytest.approx(np.mean(STEADY) * 1e6)
    assert (first["min_ns"], first["max_ns"]) == (9.9e6, 10.1e6)
    assert first["std_ns"] == pytest.approx(np.std(STEADY, ddof=1) * 1e6)


def test_ranking_is_fastest_first_with_the_baselines_speed_up(tmp_path: Path) -> None:
    half = tuple(ms / 2 for ms in STEADY)
    found = figures_of(
        tmp_path / "r.db", {"kv-cache": STEADY, "pipelined": half, "deferred": STEADY}
    )
    rows = shown(found, "ranking")
    assert [row["strategy"] for row in rows] == ["pipelined", "kv-cache", "deferred"]
    assert [row["significant"] for row in rows] == ["yes", "baseline", "no"]
    assert rows[0]["speedup"] == pytest.approx(2.0)


def test_pairs_by_round_where_there_are_enough(tmp_path: Path) -> None:
    found = figures_of(tmp_path / "r.db", {"kv-cache": STEADY, "pipelined": STEADY})
    a, b = found.cells.values()
    ratio = against(a, b).ratio
    # Round by round the same times: unpaired, their spread would show.
    assert ratio is not None
    assert (ratio.low, ratio.high) == (1.0, 1.0)
    few = figures_of(tmp_path / "few.db", {"kv-cache": STEADY[:3], "pipelined": (5.0, 5.1, 4.9)})
    a, b = few.cells.values()
    found_few = against(a, b)
    # Three pairs, Student's test: 2 degrees of freedom, t = 4.303.
    logs = np.log(np.divide((5.0, 5.1, 4.9), STEADY[:3]))
    assert found_few.estimate == pytest.approx(np.exp(logs.mean()))
    half = 4.303 * logs.std(ddof=1) / np.sqrt(3)
    assert found_few.ratio is not None
    assert np.log(found_few.ratio.high / found_few.estimate) == pytest.approx(half, rel=1e-3)
    assert found_few.significant
    two = figures_of(tmp_path / "two.db", {"kv-cache": STEADY[:2], "pipelined": (5.0, 5.1)})
    found_two = against(*two.cells.values())
    assert (found_two.ratio, found_two.p, found_two.significant) == (None, None, False)
    assert [row["significant"] for row in shown(two, "ranking")] == ["too few", "baseline"]


def test_a_difference_below_one_percent_is_not_significant(tmp_path: Path) -> None:
    for more, significant in ((1.009, False), (1.011, True)):
        slower = tuple(more * ms for ms in STEADY)
        found = figures_of(tmp_path / f"{more}.db", {"kv-cache": STEADY, "pipelined": slower})
        a, b = found.cells.values()
        assert against(a, b).p < 0.05
        assert against(a, b).significant == significant


LOCKED = [smi(1980), smi(1980)]
CASES = [
    # (what is written, what the warning must say: its number and its remedy)
    (
        {"walls_ms": {"kv-cache": (10, 13, 9, 10, 14, 8, 10)}},
        ("unstable", "kv-cache b2 t11 20%", "nvidia-smi -lgc"),
    ),
    (
        {"walls_ms": {"kv-cache": (*STEADY[:6], 30.0)}},
        ("outliers", "kv-cache b2 t11 round 7 3.0x", "medians"),
    ),
    (
        {"walls_ms": {"kv-cache": STEADY[:4]}},
        ("too few runs", "1 of 1 cells have 4", "--rounds"),
    ),
    (
        {"walls_ms": {"kv-cache": STEADY}, "steps_kept": 7},
        ("ended early", "kv-cache b2 t11 after 7 of 11", "--eos-id -1"),
    ),
    (
        {"walls_ms": {"kv-cache": STEADY}, "compiled_in_run": 2},
        ("compiled inside", "kv-cache b2 t11 2 graphs", "--warmup"),
    ),
    (
        {"walls_ms": {"kv-cache": STEADY}, "allocation_retries": 5},
        ("allocator ran out", "kv-cache b2 t11 5", "smaller batch"),
    ),
    (
        {"walls_ms": {"kv-cache": STEADY}, "stable": False},
        ("not yet stable", "kv-cache b2 t11", "--warmup"),
    ),
    (
        {"walls_ms": {"pipelined-published": STEADY}},
        ("stale stop flag", "pipelined-published", "use pipelined or deferred"),
    ),
    (
        {"walls_ms": {"kv-cache": STEADY}, "cores": 4, "load": 3.5},
        ("other work", "load average was 3.5 on 4 cores", "end other programs"),
    ),
    (
        {
            "walls_ms": {"kv-cache": STEADY},
            "device": GPU,
            "clocks": [smi(1980, sw_power_cap=10), smi(1980, sw_power_cap=50_010)],
        },
        ("throttled", "sw_power_cap held them down for 0.05 s of 0.14 s", "nvidia-smi -lgc"),
    ),
    (
        {
            "walls_ms": {"kv-cache": STEADY},
            "device": GPU,
            "clocks": [smi(1980, ["hw_thermal_slowdown"]), smi(1980)],
        },
        ("throttled", "hw_thermal_slowdown", "heat"),
    ),
    (
        {"walls_ms": {"kv-cache": STEADY}, "device": GPU, "clocks": [smi(1980), smi(1400)]},
        ("SM clock moved", "between 1400 and 1980 MHz", "nvidia-smi -lgc"),
    ),
]


@pytest.mark.parametrize(("written", "says"), CASES, ids=[case[1][0] for case in CASES])
def test_a_warning_has_its_number_and_its_remedy(
    tmp_path: Path, written: dict[str, Any], says: tuple[str, ...]
) -> None:
    found = warnings(figures_of(tmp_path / "r.db", **written))
    (said,) = [line for line in found if says[0] in line]
    for part in says:
        assert part in said


def test_a_quiet_session_has_no_warnings(tmp_path: Path) -> None:
    clocks = [smi(1980, ["gpu_idle"], gpu_idle=0), smi(1975, [], gpu_idle=10**9)]
    found = figures_of(tmp_path / "r.db", {"kv-cache": STEADY}, device=GPU, clocks=clocks)
    assert warnings(found) == []


def test_every_format_renders_and_json_is_whole(tmp_path: Path) -> None:
    found = figures_of(tmp_path / "r.db", {"kv-cache": STEADY, "pipelined": STEADY})
    data = json.loads(render(found, "json", Terminal()))
    assert data["origin"] == "measured"
    first = data["cells"][0]
    assert [run["wall_ns"] for run in first["runs"]] == [round(ms * 1e6) for ms in STEADY]
    assert first["figures"]["median_ns"] == 10e6
    assert first["workload"]["strategy"] == "kv-cache"
    table = render(found, "table", Terminal(80))
    lines = table.splitlines()[4:]
    assert max(map(len, lines)) <= 80
    assert "0.0100" in table
    assert "n/a" in table  # the floor, with its reason
    assert render(found, "md", Terminal()).count("| kv-cache |") == 3
    header, row, *_ = render(found, "csv", Terminal()).splitlines()
    cells = dict(zip(header.split(","), row.split(","), strict=True))
    assert cells["median_ns"] == "10000000.0"
