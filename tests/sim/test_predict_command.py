"""`harness predict` as a user meets it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.commands.predict import command

SYNC = str(Path(__file__).parents[2] / "traces" / "example-sync.sqlite")


def run(*arguments: str):
    return CliRunner().invoke(command, list(arguments))


def test_the_table_fits_80_columns_and_says_that_it_is_predicted():
    result = run("--from", SYNC, "--gpu", "h200,l40s", "--traced-gpu", "h100")
    assert result.exit_code == 0, result.output
    assert max(map(len, result.output.splitlines())) <= 80
    lines = result.output.splitlines()
    assert "Predicted from example-sync.sqlite" in lines[0]
    body = [line for line in lines if line.startswith(("traced ", "h200 ", "l40s "))]
    assert sum("predicted" in line for line in body) == len(body) - 2 == 16
    assert "misses the recorded step by +0.00%" in result.output
    assert "limiter" in lines[1]


@pytest.mark.parametrize("suffix", ["json", "csv", "md"])
def test_formats_by_the_files_ending(tmp_path, suffix):
    path = tmp_path / f"out.{suffix}"
    assert run("--from", SYNC, "-o", str(path)).exit_code == 0
    text = path.read_text()
    assert "hide sync" in text
    again = run("--from", SYNC, "-o", str(path))
    assert again.exit_code == 1
    assert "add --force" in str(again.exception)
    assert path.read_text() == text


def test_json_has_raw_ns_and_the_error():
    data = json.loads(run("--from", SYNC, "--format", "json").output)
    assert data["schema_version"] == 1
    assert data["origin"] == "simulated"
    assert data["reproduction_error_share"] == 0
    hidden = next(row for row in data["scenarios"] if row["scenario"] == "hide sync")
    assert hidden["step_ns"] == 430_000
    assert hidden["origin"] == "predicted"
    assert data["constants"][0]["samples"] == 20


def test_traces_of_the_what_ifs_are_marked_simulated(tmp_path):
    from harness.analysis.analyze import analyze

    assert run("--from", SYNC, "--write-to", str(tmp_path)).exit_code == 0
    path = tmp_path / "example-sync-hide-sync.sqlite"
    report = analyze(path)
    assert report.trace.source.origin == "simulated"
    assert report.series[0].steady.period_ns == 430_000
    assert json.loads(path.with_suffix(".json").read_text())["origin"] == "simulated"
    refused = run("--from", SYNC, "--write-to", str(tmp_path))
    assert refused.exit_code == 1
    assert "exists" in str(refused.exception)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--from", SYNC, "--gpu", "b300"), 2, "no GPU is called"),
        (("--from", SYNC, "--gpu", "h200"), 2, "--traced-gpu"),
        (("--from", "/nothing.sqlite"), 1, "No such file"),
        (("--from", SYNC, "-o", "out.pdf"), 2, "no format ends with"),
        (("--from", SYNC, "--steps", "90:99"), 1, "no step in 90:99"),
    ],
)
def test_errors(arguments, code, says):
    result = run(*arguments)
    error = result.exception
    assert getattr(error, "exit_code", result.exit_code) == code
    assert says in str(error)
    assert "\n" not in str(error)


@pytest.mark.parametrize("ending", ["sqlite", "json"])
def test_no_file_of_a_what_if_is_overwritten(tmp_path, ending):
    mine = tmp_path / f"example-sync-graph.{ending}"
    mine.write_text("mine")
    result = run("--from", SYNC, "--write-to", str(tmp_path))
    assert f"{mine} exists" in str(result.exception)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [(mine.name, "mine")]
    assert run("--from", SYNC, "--write-to", str(tmp_path), "--force").exit_code == 0
    assert len(list(tmp_path.iterdir())) == 10


@pytest.mark.parametrize("format_name", ["table", "md"])
def test_a_hostile_name_of_a_trace_stays_on_its_line(tmp_path, format_name):
    trace = tmp_path / "a\x1b[31m\nb.sqlite"
    shutil.copy(SYNC, trace)
    lines = run("--from", str(trace), "--format", format_name).output.splitlines()
    assert "Predicted from a" in lines[0]
    assert "b.sqlite" in lines[0]
    assert "\x1b" not in lines[0]
