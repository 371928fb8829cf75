"""A figure that cannot be believed is shown nowhere; its reason is."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from .build import US, builder, decode_loop

VIEWS = ([], ["--by", "step"], ["--by", "cause"], ["--by", "stream"], ["--by", "strategy"],
         ["--top", "3"], ["--definitions"], ["--by", "step", "--top", "2"])  # fmt: skip


@pytest.fixture
def lossy(tmp_path: Path) -> Path:
    """A loop whose GPU rows are missing for one launch in nine, and whose idle time is made up."""
    trace = decode_loop(sync="stream")
    thread = trace.thread(trace.process(100), 100)
    for k in range(6):
        at = (1100 + k * 100) * US
        trace.api(at, at + US, "cudaLaunchKernel_v7000", thread=thread)
    trace.write(tmp_path / "lossy.sqlite")
    return tmp_path / "lossy.sqlite"


def numbers(value: object, under: str = "") -> dict[str, float]:
    """Every number in a document, by the names that lead to it."""
    if isinstance(value, dict):
        pairs = value.items()
    elif isinstance(value, list):
        pairs = enumerate(value)
    else:
        good = isinstance(value, int | float) and not isinstance(value, bool)
        return {under: value} if good else {}
    return {k: v for name, one in pairs for k, v in numbers(one, f"{under}.{name}").items()}


@pytest.mark.parametrize("view", VIEWS, ids=" ".join)
def test_idle_time_that_is_invalid_is_in_no_view(inside, lossy: Path, view: list[str]) -> None:
    run = inside("gaps", lossy, *view)
    assert run.returncode == 0, run.stderr  # the steps on the host are still given
    text = " ".join(run.stdout.split())
    assert "launches-without-gpu-rows (device invalid): 6 of " in text
    found = json.loads(inside("gaps", lossy, *view, "--format", "json").stdout)
    shown = numbers(found)
    bad = ("idle", "busy_ns", "gap", "inter", "intra", "period_ns", "share", "causes", "limiter")
    wrong = {k: v for k, v in shown.items() if any(b in k.rpartition(".")[2] for b in bad)}
    wrong = {k: v for k, v in wrong.items() if ".host_series." not in k}
    assert wrong == {}
    assert ".traces.0.host_series.0.period.p50_ns" in shown


def test_causes_that_are_invalid_are_left_out(inside, tmp_path: Path) -> None:
    trace, thread = builder()
    for k in range(6):
        at = k * 100 * US
        trace.kernel(at + 1, at + 50 * US, name="k", correlation=9000 + k,
                     process=thread & ~0xFFFFFF)  # fmt: skip
    trace.write(tmp_path / "orphans.sqlite")
    found = json.loads(inside("gaps", "orphans.sqlite", "--format", "json").stdout)["traces"][0]
    assert ("causes", "invalid") in {(v["figures"], v["level"]) for v in found["verdicts"]}
    (device,) = found["devices"]
    assert device["idle_ns"] == 5 * (50 * US + 1)
    assert device["causes"] is None
    assert "Idle time by cause" not in inside("gaps", "orphans.sqlite", "--by", "cause").stdout
    top = inside("gaps", "orphans.sqlite", "--top", "1", "--format", "json").stdout
    assert json.loads(top)["top_gaps"][0]["cause"] is None


def test_a_trace_of_which_nothing_can_be_believed_is_a_failure(harness, tmp_path: Path) -> None:
    """No steps, and idle time that may be missing rows: nothing that was asked for is given."""
    trace, thread = builder()
    for k in range(40):
        at = k * 100
        if k % 4:
            trace.launch(at, at + 10, at + 20, at + 90, thread=thread)
        else:
            trace.api(at, at + 10, "cudaLaunchKernel_v7000", thread=thread)
    trace.write(tmp_path / "lossy.sqlite")
    run = harness("gaps", "lossy.sqlite")
    assert run.returncode == 1
    assert "10 of 40 launches" in run.stdout
    assert run.stderr.strip().splitlines() == [
        "harness: error: lossy.sqlite: no figure of it can be believed; its verdicts say why "
        "[nothing-believed]"
    ]


@pytest.mark.parametrize("origin", ["simulated", "synthetic"])
def test_what_was_not_measured_says_so_in_every_view(inside, tmp_path: Path, origin: str) -> None:
    trace = decode_loop(sync="stream")
    trace._metadata = [
        (name, origin if name == "HARNESS_ORIGIN" else value) for name, value in trace._metadata
    ]
    trace.write(tmp_path / "run.sqlite")
    # A manifest that calls it measured changes nothing.
    (tmp_path / "run.json").write_text('{"manifest_version": 1, "origin": "measured"}')
    for view in VIEWS:
        for kind in ("table", "md", "csv"):
            text = inside("gaps", "run.sqlite", "run.sqlite", *view, "--format", kind).stdout
            assert f"({origin})" in text, (view, kind)
    assert json.loads(inside("gaps", "run.sqlite", "--format", "json").stdout)["traces"][0][
        "origin"
    ] == origin  # fmt: skip


def test_an_origin_that_nobody_knows_is_not_called_measured(inside, tmp_path: Path) -> None:
    trace = decode_loop()
    trace._metadata = [
        (name, "predicted" if name == "HARNESS_ORIGIN" else value)
        for name, value in trace._metadata
    ]
    trace.write(tmp_path / "run.sqlite")
    run = inside("gaps", "run.sqlite")
    assert "(simulated)" in run.stdout
    assert "calls the origin 'predicted'" in " ".join(run.stdout.split())


HOSTILE = [
    '{"manifest_version": 1, "label": ["a", {"b": 1}], "strategy": {"x": 1}, "capture": 7}',
    '{"manifest_version": 1, "label": "\\ud800 \\u001b[1m", "strategy": "\\u001b[31mred\\n"}',
    '{"manifest_version": 1, "label": "<script>alert(1)</script>|`**", "origin": ["measured"]}',
    '{"manifest_version": 1, "label": "' + "long " * 50_000 + '"}',
    '{"manifest_version": 1, "capture": {"completeness": {"dropped": "many", "n": -1}}}',
    '{"manifest_version": 1, "capture": {"completeness": [1]}, "choices": null, "workload": 3}',
    '{"manifest_version": 1, "calibration": "yes", "device": [[]]}',
    '{"manifest_version": 1, "calibration": {"profiled_step_ns": "x"}}',
    '{"manifest_version": 9, "label": "newer"}',
    '{"label": "no version"}',
    "[1, 2]",
    '{"manifest_version": 1, "n": ' + "9" * 5000 + "}",
    "[" * 100_000,
    "not json",
    "\x00\xff",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_manifest_can_break_a_report(inside, tmp_path: Path, text: str) -> None:
    decode_loop().write(tmp_path / "t.sqlite")
    (tmp_path / "t.json").write_bytes(text.encode("latin-1", "replace"))
    for kind in ("table", "json", "csv", "md"):
        run = inside("gaps", "t.sqlite", "--format", kind)
        assert run.returncode == 0, (kind, run.stderr)
        assert run.stderr == ""
        assert "\x1b" not in run.stdout
        if kind == "table":
            assert max(map(len, run.stdout.splitlines())) <= 80
        if kind == "json":
            json.loads(run.stdout)


def test_measured_host_times_say_that_the_profiler_lengthens_them(inside, tmp_path: Path) -> None:
    trace = decode_loop(sync="stream")
    note = "which the profiler lengthens"
    trace.write(tmp_path / "made-up.sqlite")
    trace._metadata = [(k, v) for k, v in trace._metadata if not k.startswith("HARNESS_")]
    trace.write(tmp_path / "measured.sqlite")
    for kind in ("table", "md"):
        said = inside("gaps", "measured.sqlite", "--format", kind).stdout
        assert note in " ".join(said.split())
        assert note not in inside("gaps", "made-up.sqlite", "--format", kind).stdout


def test_no_limiter_is_told_from_calls_that_cannot_be_believed(inside, tmp_path: Path) -> None:
    path = tmp_path / "t.sqlite"
    decode_loop(sync="stream", host_us=300).write(path)
    sound = json.loads(inside("gaps", path, "--format", "json").stdout)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE CUPTI_ACTIVITY_KIND_RUNTIME SET end = start - 1")
    found = json.loads(inside("gaps", path, "--format", "json").stdout)
    before, after = (one["traces"][0]["series"][0]["steady"] for one in (sound, found))
    gone = ("host_ns", "limiter", "recoverable_ns", "causes", "drained_by", "drained_share")
    assert all(before[name] is not None and after[name] is None for name in gone)
    assert [after[name] for name in ("period_ns", "idle_ns")] == [
        before[name] for name in ("period_ns", "idle_ns")
    ]
    text = inside("gaps", path).stdout
    assert not any(word in text for word in ("recov. µs:", "What let the queue", "--by cause"))


def test_a_gpu_that_is_always_busy_is_the_limit_whatever_the_calls_say(
    inside, tmp_path: Path
) -> None:
    path = tmp_path / "t.sqlite"
    decode_loop(sync="never", kernel_us=1000).write(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE CUPTI_ACTIVITY_KIND_RUNTIME SET end = start - 1")
    found = json.loads(inside("gaps", path, "--format", "json").stdout)
    assert found["traces"][0]["series"][0]["steady"]["limiter"] == "gpu"


def test_steps_on_the_host_are_shown_where_the_gpu_is_not_believed(inside, lossy: Path) -> None:
    text = inside("gaps", lossy).stdout
    assert "Step times on the host (where no GPU figure can be given)" in text
