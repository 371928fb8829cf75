"""The page as text: complete in itself, honest, and deaf to what names try."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from harness.analysis.analyze import analyze
from harness.analysis.reports.base import Failure, Report, Terminal, reporters
from harness.analysis.verdicts.codes import CLOCK_AHEAD
from harness.analysis.verdicts.judge import Level, Verdict

from ..conftest import ROOT
from .build import HOSTILE, analyzed, loop
from .page import Page, data_of

EXAMPLES = [ROOT / "traces" / f"example-{name}.sqlite" for name in ("sync", "pipelined")]


def render(report: Report) -> str:
    return reporters()["html"].render(report, Terminal())


@pytest.fixture(scope="module")
def examples() -> str:
    return render(analyzed(*EXAMPLES))


def test_nothing_is_loaded_and_nothing_runs_but_its_own_script(examples: str) -> None:
    page = Page(examples)
    for tag, attributes in page.tags:
        assert tag not in ("iframe", "object", "embed", "base", "form", "img", "audio", "video")
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            assert name != "style", "the policy forbids inline style"
            if name in ("src", "href", "action", "xlink:href", "data"):
                assert value in ("data:,", "#figures"), (tag, name, value)
    outside = [*page.raw["style"], *page.raw["script"]]
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest|import\(|eval\(", "".join(outside))
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write", "".join(outside))


def test_the_policy_allows_exactly_its_style_and_its_script(examples: str) -> None:
    page = Page(examples)
    policy = next(
        a["content"] for t, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"
    )
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    style = re.search(r"<style>(.*?)</style>", examples, re.S)
    script = re.search(r"<script>(.*?)</script>", examples, re.S)
    assert style is not None
    assert script is not None
    for rule, found in (("style-src", style), ("script-src", script)):
        digest = base64.b64encode(hashlib.sha256(found.group(1).encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"
    assert "unsafe" not in policy
    # The policy stands before anything it governs.
    assert examples.index("Content-Security-Policy") < examples.index("<style")


def test_figures_are_those_of_the_json(examples: str) -> None:
    report = analyzed(*EXAMPLES)
    document = json.loads(reporters()["json"].render(report, Terminal()))
    steady = {f"{t['label']} ({t['origin']})": t["series"][0]["steady"] for t in document["traces"]}
    page = Page(examples)
    steps = page.rows("steps")
    assert {row["strategy"][0] for row in steps} == set(steady)
    for row in steps:
        own = steady[row["strategy"][0]]
        for name in ("period_ns", "busy_ns", "idle_ns", "inter_ns"):
            assert float(row[name][1] or "nan") == own[name], name
    for row in page.rows("causes"):
        for name, (_, exact) in row.items():
            if exact is not None:
                cause = name.removesuffix("_ns")
                assert float(exact) == steady[row["strategy"][0]]["causes"][cause]
    devices = {t["label"]: t["devices"][0] for t in document["traces"]}
    for row in page.rows("devices"):
        own = devices[row["strategy"][0].partition(" (")[0]]
        assert int(row["idle_ns"][1] or -1) == own["idle_ns"]
        assert int(row["window_ns"][1] or -1) == own["window_ns"]


def test_what_hovers_is_what_was_analysed(examples: str) -> None:
    report = analyzed(*EXAMPLES)
    steps = data_of(examples)["steps"]
    for key, trace in zip(("e1", "e2"), sorted(report.traces, key=lambda t: t.label), strict=True):
        assert steps[key]["idle"] == trace.series[0].table.idle[1:-1].tolist()
        assert steps[key]["n"] == {"from": 31, "count": 18}


def test_the_verdict_is_said_first_and_in_words(examples: str) -> None:
    text = Page(examples).text
    headline = "With sync (synthetic), the GPU idles 68.6 µs of every 486 µs step, 14% of the time."
    assert headline in text
    assert "The host reads a value from the GPU in Check Stop Condition" in text
    assert "That would win 55.6 µs a step (11%) and leave 430 µs" in text
    assert "pipelined (synthetic) removes 81% of it" in text
    assert text.index(headline) < text.index("Where a step’s time goes")


@pytest.mark.parametrize("origin", ["simulated", "synthetic"])
def test_what_was_not_measured_says_so_wherever_its_name_stands(
    tmp_path: Path, origin: str
) -> None:
    report = analyzed(loop(tmp_path / "a.sqlite", strategy="fast", origin=origin))
    page = Page(render(report))
    assert f"{origin} All traces in this report" in page.text
    for names in ("steps", "causes", "devices"):
        for row in page.rows(names):
            if "strategy" in row:
                assert row["strategy"][0] == f"fast ({origin})"
    assert [a for t, a in page.tags if a.get("class") == "badge"]
    for _, attributes in page.tags:
        if attributes.get("role") == "img":
            assert origin in attributes["aria-label"] or "fast" not in attributes["aria-label"]


def test_a_measured_trace_carries_no_such_label(tmp_path: Path) -> None:
    text = Page(render(analyzed(loop(tmp_path / "a.sqlite", origin="measured")))).text
    assert "simulated" not in text.lower()
    assert "synthetic" not in text.lower()


def test_hostile_names_are_text(tmp_path: Path) -> None:
    manifest = {
        "label": HOSTILE,
        "origin": "measured",
        "workload": {HOSTILE: [HOSTILE], "batch": {"deep": {"er": {"and": {"so": HOSTILE}}}}},
        "capture": {"backend": HOSTILE},
    }
    path = loop(
        tmp_path / "<img src=x onerror=alert(1)>.sqlite",
        origin="measured",
        kernel=HOSTILE,
        inner=HOSTILE,
        manifest=manifest,
    )
    source = render(analyzed(path))
    page = Page(source)
    assert len(re.findall(r"<script[ >]", source)) == 2
    assert not [t for t, _ in page.tags if t == "img"]
    assert "{{7*7}}" in page.text
    assert "\x1b" not in source
    assert "\u202e" not in source
    assert "<script>alert(1)</script>" in page.text


def test_secrets_stay_out(tmp_path: Path) -> None:
    manifest = {
        "argv": ["python", "--token", "hunter2"],
        "capture": {"backend": "nsys", "command": ["nsys", "hunter2"], "graph_trace": "node"},
        "environment": {"HF_TOKEN": "hunter2"},
        "host": {"cpu": "An Example CPU", "env": {"SECRET": "hunter2"}},
        "choices": {"cache": "static"},
    }
    source = render(analyzed(loop(tmp_path / "a.sqlite", manifest=manifest)))
    assert "hunter2" not in source
    assert str(tmp_path) not in source
    text = Page(source).text
    assert "An Example CPU" in text
    assert re.search(r"graph_trace\s*node", text)


def test_a_models_folder_stays_out(tmp_path: Path) -> None:
    for k, (model, shown) in enumerate(
        [
            ("/home/ann/secret/llama", "llama"),
            ("./mine/", "mine"),
            ("C:\\ann\\llama", "llama"),
            ("meta-llama/Llama-3", "meta-llama/Llama-3"),
            ("gpt2", "gpt2"),
        ]
    ):
        path = loop(tmp_path / f"{k}.sqlite", manifest={"workload": {"model": model}})
        page = render(analyzed(path))
        assert f"<dt>workload.model</dt><dd>{shown}</dd>" in page


def test_files_that_failed_are_named_without_their_folders(tmp_path: Path) -> None:
    report = analyzed(loop(tmp_path / "a.sqlite"))
    failed = Failure(
        "/home/someone/x.sqlite", "/home/someone/x.sqlite is not an SQLite file", "not-a-trace"
    )
    source = render(Report(report.traces, (failed,), report.question))
    assert "x.sqlite could not be analysed: x.sqlite is not an SQLite file" in Page(source).text
    assert "/home/someone" not in source


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("h100_2gpu_copy_bound", "Figures per step cannot be given"),
        ("graph_level", "GPU 0"),
        ("mpi_saxpy_old_schema", "repeats of the work are taken"),
        ("power_iteration", "The GPU idles 15.0 ms of every"),
    ],
)
def test_real_traces_get_their_page_with_steps_or_without(
    public_traces: Path, name: str, told: str
) -> None:
    report = analyzed(public_traces / f"{name}.sqlite")
    page = Page(render(report))
    assert told in page.text
    assert [a for t, a in page.tags if a.get("class") == "timeline"]


def test_a_real_trace_with_steps(public_traces: Path) -> None:
    page = Page(render(analyzed(public_traces / "power_iteration.sqlite", step="Step *")))
    assert "The GPU idles 15.0 ms of every 41.2 ms step, 36% of the time." in page.text
    assert "The thread that launches spends 14.8 ms a step in IO *" in page.text


def test_an_empty_report_is_a_page_too() -> None:
    assert "No trace could be analysed." in Page(render(Report(()))).text


def test_a_trace_that_may_not_be_believed_shows_no_figure(tmp_path: Path) -> None:
    manifest = {"capture": {"completeness": {"dropped": 7}}}
    path = loop(tmp_path / "a.sqlite", origin="measured", manifest=manifest)
    report = analyzed(path)
    assert report.traces[0].level("device") == "invalid"
    page = Page(render(report))
    assert "that can be believed" in page.text
    assert "7 activity records were dropped" in page.text
    assert "Where a step’s time goes" not in page.text
    assert not [a for t, a in page.tags if "data-figure" in a]


def test_pictures_have_words_and_headings_have_order(examples: str) -> None:
    page = Page(examples)
    for tag, attributes in page.tags:
        if attributes.get("role") == "img":
            assert len(attributes["aria-label"]) > 10, (tag, attributes)
    levels = [int(t[1]) for t, _ in page.tags if re.fullmatch(r"h[1-6]", t)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
    identifiers = [a["id"] for _, a in page.tags if "id" in a]
    assert len(identifiers) == len(set(identifiers))


def test_the_same_traces_give_the_same_bytes(examples: str) -> None:
    assert render(analyzed(*EXAMPLES)) == examples


def test_twenty_traces_of_a_thousand_steps(tmp_path: Path) -> None:
    """Under 1.5 MB and, reading and analysing included, under 5 s of one core."""
    paths = [
        loop(tmp_path / f"t{k}.sqlite", strategy=f"s{k}", steps=1000, slow=37 * (k + 1))
        for k in range(20)
    ]
    begin = time.process_time()
    source = render(Report(tuple(analyze(path) for path in paths)))
    spent = time.process_time() - begin
    assert len(source.encode()) < 1_500_000
    assert spent < 5
    assert len(re.findall(r"<(?:rect|path|line|text|svg)\b", source)) < 10_000


def test_the_page_has_the_tables_of_who_was_recorded_and_at_what_cost(tmp_path: Path) -> None:
    step = {"mean": 80_000, "runs": 3}
    cost = {"profiled_step_ns": {"mean": 100_000, "runs": 1}, "unprofiled_step_ns": step}
    report = analyzed(loop(tmp_path / "a.sqlite", manifest={"calibration": cost}))
    one = report.traces[0].processes
    assert "processes" not in Page(render(report)).tables
    two = replace(report.traces[0], processes=(*one, replace(one[0], pid=4711)))
    tables = Page(render(Report((two,)))).tables
    assert len(tables["processes"]) == 2
    assert len(tables["calibration"]) == 1


def test_the_legend_explains_causes_that_are_not_believed(tmp_path: Path) -> None:
    """Bars of such a trace are drawn in one colour, which the legend must name."""
    report = analyzed(loop(tmp_path / "a.sqlite"))
    told = "what the GPU waited for cannot be told from this recording"
    assert told not in render(report)
    doubt = Verdict("causes", Level.INVALID, CLOCK_AHEAD, "the GPU's clock is ahead", "")
    doubted = replace(report.traces[0], verdicts=(doubt,))
    assert told in render(Report((doubted,)))
