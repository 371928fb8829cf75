"""`harness gaps` as a user types it."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shlex
from pathlib import Path

import pytest

from .build import decode_loop


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    decode_loop(sync="stream").write(tmp_path / "sync.sqlite")
    decode_loop(sync="never").write(tmp_path / "never.sqlite")
    return tmp_path


def test_table_fits_80_columns_without_colour(inside, traces: Path) -> None:
    for options in ([], ["--by", "step"], ["--by", "cause"], ["--by", "stream"], ["--top", "3"],
                    ["--definitions"], ["--by", "strategy"]):  # fmt: skip
        run = inside("gaps", "sync.sqlite", "never.sqlite", *options)
        assert run.returncode == 0, run.stderr
        assert max(len(line) for line in run.stdout.splitlines()) <= 80, run.stdout
        assert "\x1b" not in run.stdout
        assert run.stderr == ""


def test_json_csv_and_md_agree(inside, traces: Path) -> None:
    as_json = json.loads(inside("gaps", "sync.sqlite", "--format", "json").stdout)
    (series,) = as_json["traces"][0]["series"]
    rows = list(
        csv.DictReader(io.StringIO(inside("gaps", "sync.sqlite", "--format", "csv").stdout))
    )
    assert len(rows) == 1
    for name in ("period_ns", "busy_ns", "idle_ns", "inter_ns"):
        assert float(rows[0][name]) == pytest.approx(series["steady"][name], abs=0.001)
    markdown = inside("gaps", "sync.sqlite", "--format", "md").stdout
    assert f"{series['steady']['idle_ns'] / 1000:,.1f}" in markdown
    (gains,) = as_json["traces"][0]["gains"]
    assert rows[0]["gain_kind"] == gains["kind"] == as_json["traces"][0]["answer"]["kind"]
    best = max(one["gain_ns"] for one in gains["rungs"] if one["of_host"])
    assert float(rows[0]["gain_ns"]) == pytest.approx(best, abs=0.001)
    assert as_json["schema_version"] == 2


def test_output_ending_picks_the_format_and_never_overwrites(inside, traces: Path) -> None:
    assert inside("gaps", "sync.sqlite", "-o", "out.json").returncode == 0
    json.loads((traces / "out.json").read_text())
    again = inside("gaps", "sync.sqlite", "-o", "out.json")
    assert (again.returncode, "add --force" in again.stderr) == (1, True)
    assert inside("gaps", "sync.sqlite", "-o", "out.json", "--force").returncode == 0
    odd = inside("gaps", "sync.sqlite", "-o", "out.xyz")
    assert (odd.returncode, ".csv" in odd.stderr) == (2, True)
    assert not (traces / "out.xyz").exists()
    assert not list(traces.glob("*.part"))


def test_pooling_by_label(inside, traces: Path) -> None:
    run = inside("gaps", "sync.sqlite", "never.sqlite", "--label", "a", "--label", "a",
                  "--format", "json")  # fmt: skip
    pooled = json.loads(run.stdout)["strategies"]
    assert [(p["strategy"], p["traces"], p["steady_steps"]) for p in pooled] == [
        ("a (synthetic)", 2, 24)
    ]
    wrong = inside("gaps", "sync.sqlite", "never.sqlite", "--label", "a")
    assert wrong.returncode == 2


@pytest.mark.parametrize(
    "options",
    [["--steps", "5"], ["--steps", "9:3"], ["--start", "soon"], ["--by", "moon"], ["--top", "0"],
     ["--step-regex", "("], ["--device", "4"], ["--start", "2s", "--end", "1s"]],
)  # fmt: skip
def test_wrong_options_are_said_in_one_line(inside, traces: Path, options: list[str]) -> None:
    run = inside("gaps", "sync.sqlite", *options)
    assert run.returncode in (1, 2)
    assert "Traceback" not in run.stderr
    assert run.stdout == ""


def test_no_trace_given_is_a_usage_error(harness) -> None:
    assert harness("gaps").returncode == 2


@pytest.mark.parametrize("command", ["gaps sync.sqlite", "export sync.sqlite --to csv"])
def test_a_reader_that_went_away_gives_the_code_of_its_signal(traces: Path, command: str) -> None:
    import subprocess
    import sys

    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as gone:
        run = subprocess.run(
            [sys.executable, "-m", "harness", *command.split()],
            cwd=traces, stdout=gone, stderr=subprocess.PIPE, check=False,
        )  # fmt: skip
    assert (run.returncode, run.stderr) == (141, b"")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_a_closed_stream_is_an_empty_one(traces: Path, closed: str) -> None:
    import subprocess
    import sys

    run = subprocess.run(
        f"{sys.executable} -m harness gaps sync.sqlite -o out.json {closed}",
        shell=True, cwd=traces, capture_output=True, check=False,
    )  # fmt: skip
    assert (run.returncode, run.stdout, run.stderr) == (0, b"", b"")
    assert (traces / "out.json").is_file()


def test_a_pipe_is_not_replaced_by_a_file(harness, traces: Path) -> None:
    os.mkfifo(traces / "pipe.json")
    run = harness("gaps", "sync.sqlite", "-o", "pipe.json", "--force")
    assert (run.returncode, run.stderr) == (
        1,
        "harness: error: pipe.json is not a file [not-a-file]\n",
    )
    assert (traces / "pipe.json").is_fifo()


def test_a_name_that_is_no_utf8_is_spelled_out(tmp_path: Path) -> None:
    from harness.files import write_text

    write_text(tmp_path / "a.json", json.dumps("\udcff µ", ensure_ascii=False))
    assert json.loads((tmp_path / "a.json").read_text("utf-8")) == "\udcff µ"


def test_a_reader_that_goes_away_is_no_error(traces: Path) -> None:
    import subprocess
    import sys

    run = subprocess.run(
        f"{sys.executable} -m harness gaps sync.sqlite --by step --format csv | head -1",
        shell=True, cwd=traces, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.stderr == ""
    assert run.stdout.startswith("strategy,trace,")


def test_every_command_has_examples_in_its_help(inside) -> None:
    import click

    from harness.cli import cli

    for name in cli.list_commands(click.Context(cli)):
        run = inside(name, "--help")
        assert run.returncode == 0, run.stderr
        assert "Examples:" in run.stdout, name


def test_gaps_needs_neither_torch_nor_pandas(traces: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys\n"
        "class No:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name.split('.')[0] in ('torch', 'transformers', 'nvtx'):\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, No())\n"
        "sys.argv = ['harness', 'gaps', 'sync.sqlite']\n"
        "from harness.cli import main\n"
        "try:\n    main()\nfinally:\n"
        "    assert 'pandas' not in sys.modules\n"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=traces, capture_output=True, text=True,
                         check=False)  # fmt: skip
    assert run.returncode == 0, run.stderr


def test_golden_table(harness, traces: Path, snapshot) -> None:
    assert harness("gaps", "sync.sqlite", "never.sqlite").stdout == snapshot


def test_golden_markdown(inside, traces: Path, snapshot) -> None:
    assert inside("gaps", "sync.sqlite", "--format", "md", "--by", "cause").stdout == snapshot


def test_a_trace_whose_name_is_no_utf8(harness, tmp_path: Path) -> None:
    path = tmp_path / "a\udcff.sqlite"
    decode_loop().write(path)
    for number, words in enumerate(
        (
            ["gaps"],
            ["gaps", "--format", "json"],
            ["gaps", "--format", "csv"],
            ["report", "-o", "page.html"],
            ["show", "-o", "one.svg"],
            ["export", "-o", "rows.csv"],
            ["export", "-o", "line.json"],
            ["export", "-o", "rows.parquet"],
            ["scrub", "-o", "clean.sqlite"],
        )
    ):
        done = harness(words[0], path, *words[1:])
        assert done.returncode == 0, (number, done.stderr)


def test_the_next_command_looks_at_the_same_part(inside, tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    decode_loop().write(path)
    narrowing = ["--step-regex", "^Step", "--device", "0", "--steps", "1:13", "--start", "1ms"]
    done = inside("gaps", "run.sqlite", *narrowing)
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("Next: harness "))
    assert line == (
        "Next: harness gaps run.sqlite --step-regex '^Step' --device 0 --steps 1:13"
        " --start 1000000ns --by cause"
    )
    again = inside(*shlex.split(line.removeprefix("Next: harness ")))
    assert again.returncode == 0, again.stderr


@pytest.mark.parametrize(
    "words",
    [
        "gaps EMPTY", "gaps x -o EMPTY", "gaps x --nsys EMPTY", "report EMPTY", "show EMPTY",
        "export EMPTY", "scrub EMPTY -o x.sqlite", "compare x EMPTY", "predict --from EMPTY",
        "calibrate EMPTY", "open EMPTY", "results EMPTY", "doctor --nsys EMPTY", "bench -o EMPTY",
        "profile -o EMPTY",
    ],
)  # fmt: skip
def test_an_empty_name_is_a_wrong_command_line(inside, words: str) -> None:
    run = inside(*("" if word == "EMPTY" else word for word in words.split()))
    (line,) = run.stderr.strip().splitlines()
    assert run.returncode == 2
    assert re.match(r"harness: error: the name given for \S+ is empty; name a file", line)
