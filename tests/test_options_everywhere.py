"""What every command takes alike: folders of traces, --json, -q and -v, and ranges of steps."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from harness import commands, talk
from harness.cli import cli
from harness.folders import expanded, newest, traces_in
from harness.run.errors import NoTracesInFolder

from .conftest import ROOT

COMMANDS = {
    name: cli.get_command(click.Context(cli), name.replace("_", "-")) for name in commands.MODULES
}
TRACES = ROOT / "traces"
# They print, and do nothing that anybody would wait for.
SAY_NOTHING = {"explain", "results", "strategies"}


def run(*words):
    """How the command line ends."""
    return CliRunner().invoke(cli, [str(word) for word in words], prog_name="harness")


def options(command):
    """Every spelling of every option."""
    return {text for param in command.params for text in param.opts if text.startswith("-")}


@pytest.fixture
def folder(tmp_path):
    """Two traces, the pipelined one newer, beside their manifests and what is no trace."""
    made = tmp_path / "recordings"
    made.mkdir()
    for age, name in enumerate(("example-pipelined", "example-sync")):
        for ending in (".sqlite", ".json"):
            copy = Path(shutil.copy(TRACES / (name + ending), made))
            os.utime(copy, (1_700_000_000 - age, 1_700_000_000 - age))
    (made / "notes.txt").write_text("notes")
    (made / "settings.json").write_text('{"lr": 1}')
    (made / ".hidden.sqlite").write_text("")
    return made


@pytest.mark.parametrize("name", COMMANDS)
def test_json_is_format_json_wherever_there_is_a_format(name):
    found = options(COMMANDS[name])
    if "--format" in found:
        assert "--json" in found
        assert "Same as --format json." in run(name, "--help").output


def test_json_prints_what_format_json_prints(folder):
    trace = folder / "example-sync.sqlite"
    asked, alike = run("gaps", trace, "--json"), run("gaps", trace, "--format", "json")
    assert json.loads(asked.output) == json.loads(alike.output)
    assert run("gaps", trace, "--json", "--format", "json").exit_code == 0
    refused = run("gaps", trace, "--json", "--format", "csv")
    assert refused.exception.code == "options-conflict"
    predicted = run("predict", "--from", trace, "--json")
    assert json.loads(predicted.output)
    compared = run("compare", trace, trace, "--json")
    assert json.loads(compared.output)


@pytest.mark.parametrize("name", COMMANDS)
def test_what_has_something_to_say_can_say_less_and_more(name):
    found = options(COMMANDS[name])
    wanted = {"-q", "--quiet", "-v", "--verbose"}
    assert found & wanted == (set() if name in SAY_NOTHING else wanted)


@pytest.mark.parametrize("name", COMMANDS)
def test_steps_is_a_range_everywhere(name):
    for param in COMMANDS[name].params:
        if "--steps" in param.opts:
            assert param.type.name == "FIRST:LAST"
            refused = run(name.replace("_", "-"), "--steps", "20")
            assert refused.exit_code == 2
            assert "'20' is" in refused.output


def test_a_number_of_steps_is_told_how_to_say_a_range():
    told = run("gaps", "x.sqlite", "--steps", "20").output
    assert "use :20 for those below, 20:21 for that step alone" in told
    told = run("profile", "--steps", "50").output
    assert "how many are run is --max-new-tokens" in told


def test_the_old_spelling_of_a_script_is_told_the_new_one():
    pytest.importorskip("torch")
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "training_loop.py", "--steps", "100"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "a number of steps is --count 100" in done.stderr


# Folders


def test_a_folder_is_its_traces(folder):
    assert [path.name for path in traces_in(folder)] == [
        "example-pipelined.sqlite", "example-sync.sqlite",
    ]  # fmt: skip
    both = [folder / "example-pipelined.sqlite", folder / "example-sync.sqlite"]
    assert expanded(["a", str(folder)]) == ("a", *map(str, both))
    asked, alike = run("gaps", folder, "--json"), run("gaps", *both, "--json")
    assert json.loads(asked.output)["traces"] == json.loads(alike.output)["traces"]


def test_what_counts_as_a_trace(tmp_path):
    events = '{"schemaVersion": 1, "traceEvents": []}'
    made = {
        "a.json": events,
        "b.pt.trace.json": events,
        "manifest.json": '{"argv": []}',
        "run.nsys-rep": "report",
        "other.nsys-rep": "report",
        "other.sqlite": "export",
        "other.json": events,  # exported of it
    }
    for name, text in made.items():
        (tmp_path / name).write_text(text)
    table = tmp_path / "run_pqtdir"
    table.mkdir()
    (table / "StringIds.parquet").write_bytes(b"PAR1")
    found = [path.name for path in traces_in(tmp_path)]
    assert found == sorted(
        ["a.json", "b.pt.trace.json", "run.nsys-rep", "other.sqlite", "run_pqtdir"]
    )
    assert expanded([str(table)]) == (str(table),)
    (table / "StringIds.parquet").unlink()
    assert expanded([str(table)]) == (str(table),)  # its reader says what is wrong with it


def test_a_command_for_one_trace_takes_the_newest_and_says_so(folder, tmp_path):
    assert newest(str(folder)) == str(folder / "example-pipelined.sqlite")
    shown = run("show", folder)
    assert shown.output == run("show", folder / "example-pipelined.sqlite").output.join(
        [f"{folder}/example-pipelined.sqlite: the newest of 2 traces in {folder}\n", ""]
    )
    for words in (
        ("predict", "--from", folder),
        ("calibrate", folder, "--gpu", "h100"),
        ("scrub", folder, "-o", tmp_path / "clean.sqlite"),
    ):
        done = run(*words)
        # Its model has no file to be loaded from: it was read, and that is all.
        assert done.exit_code == (words[0] == "calibrate"), (words, done.output, done.exception)
        assert "the newest of 2 traces" in done.stderr
        (tmp_path / "clean.sqlite").unlink(missing_ok=True)
    assert "newest" not in run("show", folder, "-q").stderr


def test_pages_and_exports_are_of_all(folder, tmp_path):
    page, table = tmp_path / "report.html", tmp_path / "gaps.csv"
    assert run("report", folder, "-o", page).exit_code == 0
    assert run("export", folder, "-o", table).exit_code == 0
    for name in ("example-pipelined", "example-sync"):
        assert name.removeprefix("example-") in page.read_text()
    assert len({line.split(",")[0] for line in table.read_text().splitlines()[1:]}) == 2
    refused = run("export", folder, "--to", "perfetto", "-o", tmp_path / "t.json")
    assert refused.exception.code == "one-trace-a-file"


def test_compare_takes_what_gaps_takes_from_a_folder(tmp_path):
    for name in ("h100_decode_sync", "h100_decode_deferred"):
        (tmp_path / name).mkdir()
        shutil.copy(ROOT / "tests" / "kineto" / "data" / f"{name}.json.gz", tmp_path / name)
    compared = run("compare", tmp_path / "h100_decode_sync", tmp_path / "h100_decode_deferred")
    assert compared.exit_code == 0, compared.output
    assert "step" in compared.output


def test_an_empty_folder_says_where_traces_are(tmp_path, folder):
    empty = tmp_path / "empty"
    empty.mkdir()
    refused = run("gaps", empty)
    assert isinstance(refused.exception, NoTracesInFolder)
    assert refused.exception.remedy == "name the folder with the recordings, or a file"
    refused = run("gaps", tmp_path)
    assert refused.exception.line == (
        f"{tmp_path} holds no traces; {folder} does: name that [no-traces-in-folder]"
    )


def test_open_takes_the_newest_report_of_a_folder(tmp_path):
    from harness.viewer import report_of

    for age, name in enumerate(("new", "old")):
        report = tmp_path / f"{name}.nsys-rep"
        report.write_text("report")
        os.utime(report, (1_700_000_000 - age, 1_700_000_000 - age))
    assert report_of(tmp_path).name == "new.nsys-rep"
    refused = run("open", ROOT / "docs")
    assert refused.exception.code == "not-a-report"


# Less and more


def test_verbose_says_what_was_chosen_and_quiet_says_nothing(folder):
    trace = folder / "example-sync.sqlite"
    plain, more, less = (run("gaps", trace, *words) for words in ((), ("-v",), ("-q",)))
    assert plain.stdout == more.stdout == less.stdout
    assert less.stderr == plain.stderr == ""
    assert "20 steps" in more.stderr
    assert "read whole: " in more.stderr
    assert "260 GPU operations on 1 GPU" in more.stderr


def test_quiet_holds_for_one_command(folder, tmp_path):
    page = tmp_path / "report.html"
    assert run("report", folder, "-o", page, "-q").stderr == ""
    assert talk.quiet()
    assert "open it in a browser" in run("report", folder, "-o", page, "--force").stderr
    assert not talk.quiet()


def test_errors_stay_where_all_is_quiet(tmp_path):
    refused = run("gaps", tmp_path / "missing.sqlite", "-q")
    assert refused.exit_code == 1
    assert run("gaps", "a", "-q", "-v").exception.code == "options-conflict"


def test_verbose_ends_with_what_the_process_took(folder):
    done = subprocess.run(
        [sys.executable, "-P", "-m", "harness", "gaps", str(folder), "-v"],
        capture_output=True, text=True, check=True, cwd=folder,
    )  # fmt: skip
    assert done.stderr.splitlines()[-1].startswith("harness: took ")
    assert "took" not in done.stdout


def test_a_quiet_recording_prints_its_table_and_warnings_alone(tmp_path):
    script = "import time\ntime.sleep(0.01)\n"
    (tmp_path / "my.py").write_text(script)
    said = {}
    for words in ((), ("-q",)):
        done = subprocess.run(
            [
                *(sys.executable, "-P", "-m", "harness", "profile", "--capture", "null"),
                *("--device", "cpu", *words, "--", sys.executable, "my.py"),
            ],
            capture_output=True, text=True, check=False, cwd=tmp_path,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        said[words] = done.stderr
    assert "recording" in said[()] or "wrote" in said[()]
    assert "wrote" not in said[("-q",)]
    assert said[("-q",)] == ""
