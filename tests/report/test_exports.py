"""Perfetto, CSV and Parquet: the same figures in other programs' formats."""

from __future__ import annotations

import io
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from harness.analysis.exports.base import ROWS, exporters
from harness.analysis.exports.perfetto import nesting
from harness.analysis.model.flag_waits import FLAG
from harness.analysis.question import Question
from harness.analysis.report import TraceReport
from harness.analysis.reports.base import Table, Terminal, reporters
from harness.analysis.reports.table import drawn

from ..analysis.test_flag_waits import on_two_gpus
from .build import HOSTILE, analyzed, loop


def exported(name: str, *reports: TraceReport, rows: str = "gaps") -> bytes:
    return b"".join(exporters()[name].chunks(reports, rows))


@pytest.fixture
def report(tmp_path: Path) -> TraceReport:
    return analyzed(loop(tmp_path / "a.sqlite")).traces[0]


def checked(document: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Slices by track name, after holding the document to the Trace Event Format."""
    tracks: dict[tuple[int, int], str] = {}
    processes: dict[int, str] = {}
    for event in document["traceEvents"]:
        assert set(event) >= {"ph", "pid", "tid"}
        assert isinstance(event["pid"], int)
        assert 0 <= event["pid"] < 2**31
        if event["ph"] == "M" and event["name"] == "thread_name":
            key = event["pid"], event["tid"]
            assert key not in tracks
            tracks[key] = event["args"]["name"]
        elif event["ph"] == "M" and event["name"] == "process_name":
            processes[event["pid"]] = event["args"]["name"]
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    arrows: dict[str, set[int]] = {"s": set(), "f": set()}
    for event in document["traceEvents"]:
        kind = event["ph"]
        assert kind in "XMCsf"
        if kind == "M":
            continue
        assert event["pid"] in processes
        assert event["ts"] >= 0
        if kind == "X":
            assert event["dur"] > 0
            found[tracks[event["pid"], event["tid"]]].append(event)
        elif kind in "sf":
            assert event["id"] not in arrows[kind]
            arrows[kind].add(event["id"])
        else:
            assert all(isinstance(v, int | float) for v in event["args"].values())
    assert arrows["s"] == arrows["f"]
    own: dict[tuple[int, int], list[dict[str, Any]]] = defaultdict(list)
    for slices in found.values():
        for event in slices:
            own[event["pid"], event["tid"]].append(event)
    for key, slices in own.items():
        name = tracks[key]
        stack: list[float] = []
        for event in sorted(slices, key=lambda e: (e["ts"], -e["dur"])):
            end = round((event["ts"] + event["dur"]) * 1000)
            while stack and stack[-1] <= round(event["ts"] * 1000):
                stack.pop()
            assert not stack or end <= stack[-1], f"{name}: slices overlap without nesting"
            stack.append(end)
    return found


def ns(slices: list[dict[str, Any]]) -> int:
    return sum(round(event["dur"] * 1000) for event in slices)


def test_the_timeline_keeps_every_nanosecond(report: TraceReport) -> None:
    tracks = checked(json.loads(exported("perfetto", report)))
    device = report.devices[0]
    assert ns(tracks["gaps"]) == ns(tracks["cause of idle"]) == device.idle_ns
    assert ns(tracks["stream 7"]) == device.busy_ns
    by_cause: dict[str, int] = defaultdict(int)
    for event in tracks["cause of idle"]:
        by_cause[event["name"]] += round(event["dur"] * 1000)
    assert by_cause == {name: spent for name, spent in device.causes.items() if spent}
    assert [e["name"] for e in tracks["steps on the GPU (^Step \\d+$)"]] == [
        f"step {k}" for k in range(14)
    ]
    gap = max(tracks["gaps"], key=lambda e: e["dur"])["args"]
    assert gap["step"] == 9
    assert gap["kind"] == "inter"
    assert gap["drained_by"] == "cudaStreamSynchronize"
    assert gap["ns"] == sum(v for k, v in gap.items() if k.endswith("_ns"))


def test_a_wait_that_no_call_shows_is_named(tmp_path: Path) -> None:
    on_two_gpus().write(tmp_path / "t.sqlite")
    report = analyzed(tmp_path / "t.sqlite").traces[0]
    tracks = checked(json.loads(exported("perfetto", report)))
    drained = [gap["args"]["drained_by"] for gap in tracks["gaps"] if "drained_by" in gap["args"]]
    assert set(drained) == {FLAG}
    rows = pd.read_csv(io.BytesIO(exported("csv", report)))
    assert np.count_nonzero(rows["drained_by"] == FLAG) == len(drained) == 39


def test_arrows_lead_from_launches_to_what_ended_a_gap(report: TraceReport) -> None:
    document = json.loads(exported("perfetto", report))
    starts = {e["id"]: e for e in document["traceEvents"] if e["ph"] == "s"}
    ends = {e["id"]: e for e in document["traceEvents"] if e["ph"] == "f"}
    assert len(starts) == len(report.gaps[0])
    assert all(starts[k]["ts"] <= ends[k]["ts"] for k in starts)


@pytest.mark.parametrize("origin", ["simulated", "synthetic"])
def test_every_process_says_what_was_not_measured(tmp_path: Path, origin: str) -> None:
    report = analyzed(loop(tmp_path / "a.sqlite", origin=origin)).traces[0]
    document = json.loads(exported("perfetto", report))
    names = [e["args"]["name"] for e in document["traceEvents"] if e.get("name") == "process_name"]
    assert names
    assert all(name.endswith(f"[{origin.upper()}]") for name in names)
    assert document["otherData"]["origin"] == origin


def test_hostile_names_are_json(tmp_path: Path) -> None:
    path = loop(tmp_path / "a.sqlite", kernel=HOSTILE, inner='"}]}')
    tracks = checked(json.loads(exported("perfetto", analyzed(path).traces[0])))
    assert any("<script>" in event["name"] for event in tracks["stream 7"])


@pytest.mark.parametrize("name", ["power_iteration", "h100_2gpu_copy_bound", "graph_level"])
def test_real_traces(public_traces: Path, name: str) -> None:
    report = analyzed(public_traces / f"{name}.sqlite", step="Step *").traces[0]
    tracks = checked(json.loads(exported("perfetto", report)))
    idle = sum(device.idle_ns for device in report.devices)
    assert ns(tracks["gaps"]) == idle
    assert ns(tracks["cause of idle"]) == idle


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 30)), min_size=1, max_size=30))
def test_slices_of_one_track_nest_or_follow(pairs: list[tuple[int, int]]) -> None:
    start = np.array([a for a, _ in pairs])
    end = start + np.array([b for _, b in pairs])
    level = nesting(start, end)
    for on in set(level.tolist()):
        mine = [(int(a), int(b)) for a, b in zip(start[level == on], end[level == on], strict=True)]
        for a in mine:
            for b in mine:
                apart = a[1] <= b[0] or b[1] <= a[0]
                nested = (a[0] <= b[0] and b[1] <= a[1]) or (b[0] <= a[0] and a[1] <= b[1])
                assert apart or nested


@pytest.mark.parametrize("rows", ROWS)
def test_tables_agree_with_each_other_and_with_the_report(
    tmp_path: Path, report: TraceReport, rows: str
) -> None:
    other = analyzed(loop(tmp_path / "b.sqlite", strategy="free", waits=False)).traces[0]
    text = exported("csv", report, other, rows=rows).decode()
    csv = pd.read_csv(
        io.StringIO(text), keep_default_na=False, na_values={"step": [""], "period_ns": [""]}
    )
    parquet = pd.read_parquet(io.BytesIO(exported("parquet", report, other, rows=rows)))
    assert list(csv.columns) == list(parquet.columns)
    assert len(csv) == len(parquet)
    for column in csv.columns:
        left, right = csv[column].tolist(), parquet[column].tolist()
        same = [
            pd.isna(a) and pd.isna(b) if pd.isna(a) or pd.isna(b) else a == b
            for a, b in zip(left, right, strict=True)
        ]
        assert all(same), column
    causes = [c for c in csv.columns if c.startswith("cause_")]
    total = "length_ns" if rows == "gaps" else "idle_ns"
    assert (csv[causes].sum(axis=1) == csv[total]).all()
    for one in (report, other):
        mine = csv[csv["strategy"] == one.label]
        if rows == "gaps":
            assert mine["length_ns"].sum() == one.devices[0].idle_ns
            assert len(mine) == len(one.gaps[0])
            assert (mine["origin"] == "synthetic").all()
        else:
            steady = one.series[0].steady
            assert steady is not None
            assert mine.loc[mine["steady"], "period_ns"].mean() == steady.period_ns


def test_csv_shows_a_terminal_no_control_characters_and_a_spreadsheet_no_formulas(
    tmp_path: Path,
) -> None:
    path = loop(tmp_path / "a.sqlite", strategy="=1+1", kernel="\x1b[31m\u202e@x")
    named = {"gaps": ("strategy", "before", "after"), "steps": ("strategy",)}
    for rows, columns in named.items():
        text = exported("csv", analyzed(path).traces[0], rows=rows).decode()
        assert all(c.isprintable() or c == "\n" for c in text)
        found = pd.read_csv(io.StringIO(text))
        assert {str(v)[:1] for c in columns for v in found[c]} <= {"'", "\ufffd", "("}


def test_json_escapes_what_a_terminal_would_obey(tmp_path: Path) -> None:
    name = "\x9b31m\u202e\U000e0001x"
    report = analyzed(loop(tmp_path / "a.sqlite", strategy=name))
    text = reporters()["json"].render(report, Terminal())
    assert all(c.isprintable() or c == "\n" for c in text)
    assert json.loads(text)["traces"][0]["strategy"] == name


def test_titles_and_lines_of_a_terminal_are_plain(tmp_path: Path) -> None:
    text = drawn([Table("a", "t\x9b\u202e", (), ())], [("l\x1b[31m", "")], Terminal())
    assert text.split() == ["t\ufffd\ufffd", "l\ufffd[31m"]


def test_a_view_without_rows_has_the_traces_names_in_csv(tmp_path: Path) -> None:
    report = replace(analyzed(loop(tmp_path / "a.sqlite")), question=Question(by="rank"))
    text = reporters()["csv"].render(report, Terminal())
    assert text.startswith("job,strategy,trace,pattern,rank,")
    (row,) = pd.read_csv(io.StringIO(text)).to_dict("records")
    assert {name for name, value in row.items() if not pd.isna(value)} == {"strategy", "trace"}


def test_gaps_know_their_step_and_neighbours(report: TraceReport) -> None:
    frame = pd.read_parquet(io.BytesIO(exported("parquet", report)))
    worst = frame.loc[frame["length_ns"].idxmax()]
    assert (worst["step"], worst["kind"], worst["drained_by"]) == (
        9,
        "inter",
        "cudaStreamSynchronize",
    )
    assert worst["before"] == worst["after"] == "gemm"
    assert frame["step"].dtype == "Int64"
