"""`harness report`, `export`, `show` and `gaps --plot`, as a user types them."""

from __future__ import annotations

import gzip
import io
import json
import re
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from ..conftest import ROOT
from .build import HOSTILE, loop
from .page import Page

Run = Callable[..., "subprocess.CompletedProcess[str]"]
EXAMPLES = [ROOT / "traces" / f"example-{name}.sqlite" for name in ("sync", "pipelined")]


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    return loop(tmp_path / "a.sqlite")


def test_report_writes_one_page_and_says_so(harness: Run, tmp_path: Path) -> None:
    done = harness("report", *EXAMPLES, "-o", "page.html")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "page.html (0." in done.stderr
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")
    assert [p.name for p in tmp_path.iterdir()] == ["page.html"]


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["report", "{trace}", "-o", "page.txt"], 2, "a report is a web page"),
        (["report", "{trace}", "-o", "nowhere/page.html"], 1, "nowhere is not a directory"),
        (["report", "missing.sqlite"], 1, "missing.sqlite"),
        (["report", "{trace}", "--label", "a", "--label", "b"], 2, "--label was given 2 times"),
        (["show", "{trace}", "--step", "99"], 1, "it has steps 0..13"),
        (["show", "{trace}", "--step", "1", "--step", "2"], 2, "one at a time"),
        (["show", "{trace}", "--step", "1", "--gap", "worst"], 2, "give one of them"),
        (["show", "{trace}", "-o", "a.gif"], 2, "use .svg, .png or .txt"),
        (["show", "{trace}", "--step", "None *", "--step", "3"], 1, "no step to show"),
        (["export", "{trace}", "--to", "parquet"], 2, "needs a file"),
        (["export", "{trace}", "-o", "a.xyz"], 2, "no export ends with '.xyz'"),
        (["export", "{trace}"], 2, "what to export to is not said"),
        (["export", "{trace}", "{trace}", "--to", "perfetto"], 2, "their clocks differ"),
        (["export", "{trace}", "--to", "perfetto", "--rows", "gaps"], 2, "holds a timeline"),
        (["export", "{trace}", "--step", "None", "--rows", "steps", "-o", "a.csv"], 1, "no steps"),
        (["gaps", "{trace}", "--plot", "-o", "a.json"], 2, "--plot draws in the terminal"),
    ],
)
def test_mistakes_end_in_one_line_and_a_code(
    inside: Run, tmp_path: Path, trace: Path, arguments: list[str], code: int, told: str
) -> None:
    before = sorted(tmp_path.iterdir())
    done = inside(*(a.format(trace=trace) for a in arguments))
    assert done.returncode == code, done.stderr
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["report", "-o", "x.html"],
        ["show", "-o", "x.svg"],
        ["export", "-o", "x.csv"],
    ],
)
def test_nothing_is_overwritten_without_force(
    inside: Run, tmp_path: Path, trace: Path, arguments: list[str]
) -> None:
    target = tmp_path / arguments[-1]
    target.write_text("mine")
    done = inside(*arguments, trace)
    assert done.returncode == 1
    assert "exists; add --force" in done.stderr
    assert target.read_text() == "mine"
    assert inside(*arguments, trace, "--force").returncode == 0
    assert target.read_text() != "mine"


def test_a_broken_trace_fails_and_the_others_are_shown(
    inside: Run, tmp_path: Path, trace: Path
) -> None:
    (tmp_path / "broken.sqlite").write_text("no database")
    done = inside("report", trace, "broken.sqlite", "-o", "page.html")
    assert done.returncode == 1
    assert "1 of 2 traces could be analysed" in done.stderr
    assert "broken.sqlite</strong> could not be analysed" in (tmp_path / "page.html").read_text()


def test_show_draws_a_step_at_80_columns(harness: Run, trace: Path) -> None:
    done = harness("show", trace, "--step", "5")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "sync (synthetic): step 5"
    assert "SYNTHETIC, made up and not measured" in lines[1]
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in done.stdout
    assert "├Model Forward" in done.stdout
    assert "drained by Step * · cudaStreamSynchronize" in done.stdout
    parts = re.findall(r"^ *([\d.]+) µs +[\d.]+%  ", done.stdout, re.M)
    assert sum(map(float, parts)) == 28
    assert "Longest gap: 28.0 µs" in done.stdout


def test_show_without_a_number_takes_the_worst_step(inside: Run, trace: Path) -> None:
    assert inside("show", trace).stdout.startswith("sync (synthetic): step 9\n")
    median = inside("show", trace, "--gap", "median")
    assert not median.stdout.startswith("sync (synthetic): step 9\n")


def test_show_takes_patterns_and_traces_without_steps(inside: Run, public_traces: Path) -> None:
    real = public_traces / "power_iteration.sqlite"
    done = inside("show", real, "--step", "Step *", "--step", "200")
    assert done.returncode == 0, done.stderr
    assert "IO 190" in done.stdout
    copies = inside("show", public_traces / "h100_2gpu_copy_bound.sqlite")
    assert copies.returncode == 0, copies.stderr
    assert "the worst gap" in copies.stdout


def test_figures_are_whole_svg_and_png(inside: Run, tmp_path: Path) -> None:
    path = loop(tmp_path / "a.sqlite", kernel=HOSTILE, inner=HOSTILE)
    for name in ("light.svg", "dark.svg", "figure.png"):
        dark = ["--dark"] if name.startswith("dark") else []
        done = inside("show", path, "--step", "9", "-o", name, *dark)
        assert done.returncode == 0, done.stderr
    light = (tmp_path / "light.svg").read_text()
    root = ET.fromstring(light)
    texts = [e.text or "" for e in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "GPU idle 108 µs" in texts
    assert any(t.startswith("SYNTHETIC") for t in texts)
    assert any(t.startswith("The GPU idles 108 µs: host") for t in texts)
    assert not [e for e in root.iter() if e.tag.endswith("script")]
    assert "url(" not in light
    assert "#ffffff" in light
    assert "#14171c" in (tmp_path / "dark.svg").read_text()
    png = (tmp_path / "figure.png").read_bytes()
    assert png.startswith(b"\x89PNG")
    assert int.from_bytes(png[16:20], "big") == 2000
    # A blank picture of this size packs to far less.
    assert len(png) > 20_000


def test_a_missing_renderer_is_named(harness: Run, tmp_path: Path, trace: Path) -> None:
    (tmp_path / "block" / "resvg_py").mkdir(parents=True)
    (tmp_path / "block" / "resvg_py" / "__init__.py").write_text("raise ImportError('blocked')")
    path = f"{tmp_path / 'block'}:{ROOT}"
    done = harness("show", trace, "-o", "a.png", PYTHONPATH=path)
    assert done.returncode == 1
    assert "resvg-py" in done.stderr
    assert "nsys-harness[figures]" in done.stderr


def test_plot_follows_the_table(inside: Run) -> None:
    plain, plotted = inside("gaps", *EXAMPLES), inside("gaps", *EXAMPLES, "--plot")
    assert plotted.returncode == 0, plotted.stderr
    assert plotted.stdout.startswith(plain.stdout)
    drawn = plotted.stdout[len(plain.stdout) :]
    assert max(map(len, drawn.splitlines())) <= 80
    assert "Idle per steady-state step, by cause" in drawn
    assert re.search(r"^sync \(synthetic\) +h+q+l+s+ 68\.6 µs$", drawn, re.M)
    assert "most 163 µs (step 43)" in drawn
    assert "├Check Stop Condition" in drawn


def test_exports_write_what_they_say(inside: Run, tmp_path: Path, trace: Path) -> None:
    for name in ("a.json", "gaps.csv", "gaps.parquet"):
        done = inside("export", trace, "-o", name)
        assert done.returncode == 0, done.stderr
        assert done.stdout == ""
    document = json.loads((tmp_path / "a.json").read_text())
    assert document["displayTimeUnit"] == "ns"
    csv = pd.read_csv(tmp_path / "gaps.csv")
    assert len(csv) == len(pd.read_parquet(tmp_path / "gaps.parquet"))
    piped = inside("export", trace, "--to", "csv", "--rows", "steps")
    assert piped.stdout.splitlines()[0].startswith("trace,strategy,origin,device,pid,tid,pattern,")
    assert len(piped.stdout.splitlines()) == 15


def test_a_further_gz_packs_it(inside: Run, tmp_path: Path, trace: Path) -> None:
    for name in ("a.json", "a.json.gz", "b.json.gz", "a.csv.gz"):
        assert inside("export", trace, "-o", name).returncode == 0
    packed = (tmp_path / "a.json.gz").read_bytes()
    assert gzip.decompress(packed) == (tmp_path / "a.json").read_bytes()
    assert packed == (tmp_path / "b.json.gz").read_bytes()
    assert len(pd.read_csv(tmp_path / "a.csv.gz")) > 10


def test_a_window_of_steps_is_all_that_a_timeline_holds(
    inside: Run, tmp_path: Path, trace: Path
) -> None:
    assert inside("export", trace, "-o", "all.json").returncode == 0
    assert inside("export", trace, "--steps", "4:6", "-o", "two.json").returncode == 0
    whole, two = (
        [e for e in json.loads((tmp_path / n).read_text())["traceEvents"] if e["ph"] == "X"]
        for n in ("all.json", "two.json")
    )
    assert [e["name"] for e in two if e["name"].startswith("step ")] == ["step 4", "step 5"]
    assert len([e for e in two if e["name"] == "gemm"]) in (6, 7)
    assert len(two) < len(whole) / 4


def test_every_exporter_and_its_rows_are_offered(inside: Run) -> None:
    from harness.analysis.exports.base import ROWS, exporters

    told = inside("export", "--help").stdout
    assert "|".join(sorted(exporters(), key=["perfetto", "csv", "parquet"].index)) in told
    assert "|".join(ROWS) in told


def test_the_window_of_the_whole_recording(inside: Run, tmp_path: Path, trace: Path) -> None:
    """`--window capture` means the same to every command."""
    found = {}
    for window in ("operations", "capture"):
        options = ("--window", window)
        told = inside("gaps", trace, *options, "--format", "json")
        found[window] = json.loads(told.stdout)["traces"][0]["devices"][0]
        rows = inside("export", trace, *options, "--to", "csv")
        gaps = pd.read_csv(io.StringIO(rows.stdout))
        assert gaps["length_ns"].sum() == found[window]["idle_ns"]
        page = tmp_path / f"{window}.html"
        done = inside("report", trace, *options, "-o", page)
        assert done.returncode == 0, done.stderr
        values = {
            value
            for table in Page(page.read_text()).tables.values()
            for row in table
            for _, value in row
        }
        assert str(found[window]["window_ns"]) in values
        shown = inside("show", trace, *options)
        assert shown.returncode == 0, shown.stderr
    assert found["capture"]["window_ns"] > found["operations"]["window_ns"]


@pytest.mark.parametrize("command", ["gaps", "report", "show", "export"])
def test_a_missing_folder_is_said_before_any_trace_is_read(inside: Run, command: str) -> None:
    suffix = {"gaps": "json", "report": "html", "show": "svg", "export": "csv"}[command]
    done = inside(command, "no-such-trace.sqlite", "-o", f"nowhere/x.{suffix}")
    assert done.returncode == 1
    assert (
        done.stderr
        == "harness: error: nowhere is not a directory; create it first [not-a-directory]\n"
    )


@pytest.mark.parametrize("words", [["compare", "TRACE", "TRACE"], ["predict", "--from", "TRACE"]])
def test_a_format_that_the_command_does_not_have(inside, tmp_path, words):
    """A page is no format of these two: said before any work, and nothing is written."""
    trace = loop(tmp_path / "run.sqlite")
    done = inside(*(trace if word == "TRACE" else word for word in words), "-o", "x.html")
    assert done.returncode == 2
    assert "no format ends with '.html'; use .csv, .json, .markdown, .md, .txt" in done.stderr
    assert not (tmp_path / "x.html").exists()


@pytest.mark.parametrize(
    ("strategies", "head"),
    [(("fast", "slow"), "strategy"), (("", ""), "trace"), (("", "slow"), "trace")],
)
def test_a_loop_of_ones_own_is_a_trace_and_no_strategy(
    inside: Run, tmp_path: Path, strategies: tuple[str, ...], head: str
) -> None:
    for number, strategy in enumerate(strategies):
        loop(tmp_path / f"run{number}.sqlite", strategy)
    told = json.loads(inside("gaps", "run0.sqlite", "run1.sqlite", "--json").stdout)
    assert [one["strategy"] or "" for one in told["traces"]] == list(strategies)
    shown = inside("gaps", "run0.sqlite", "run1.sqlite", "--tables", "all").stdout
    heads = {word for word in ("strategy", "trace") if f"\n{word} " in shown}
    assert heads == {head}
    markdown = inside("gaps", "run0.sqlite", "run1.sqlite", "--format", "md").stdout
    assert f"\n| {head} |" in markdown
    assert inside("report", "run0.sqlite", "run1.sqlite", "-o", "page.html").returncode == 0
    page = (tmp_path / "page.html").read_text("utf-8")
    assert f'data-column="strategy">{head}<' in page
    other = {"strategy": "trace", "trace": "strategy"}[head]
    assert f'data-column="strategy">{other}<' not in page
