"""What is printed, drawn and exported tells nothing of the environment, and starts no shell."""

from __future__ import annotations

import ast
import json
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import click
import pytest

from harness.analysis.analyze import analyze
from harness.analysis.exports.base import ROWS, exporters
from harness.analysis.figures.standalone import png
from harness.analysis.question import Question
from harness.analysis.reports.base import Report, Terminal, reporters
from harness.cli import cli
from tests.capture.fake_nsys import install
from tests.report.build import loop

from .test_scrub import CANARY, ROOT, manifest, plant

ALLOCATOR = {"PYTORCH_CUDA_ALLOC_CONF": CANARY, "PYTORCH_ALLOC_CONF": CANARY}
ENVIRONMENT = {"HARNESS_CANARY": CANARY, "AWS_SECRET_ACCESS_KEY": CANARY, **ALLOCATOR}

# What each command writes; those without a file print. A command that is not here is in SILENT.
COMMANDS: dict[str, list[list[str]]] = {
    "gaps": [
        *(["--by", by] for by in ("step", "cause", "strategy", "stream", "rank")),
        ["--definitions", "--plot", "--top", "3"],
        *(["--top", "3", "--format", name] for name in ("table", "json", "csv", "md")),
        *(["-o", f"gaps.{ending}"] for ending in ("txt", "json", "csv", "md")),
    ],
    "report": [["-o", "page.html"]],
    "show": [[], ["-o", "one.svg"], ["-o", "dark.svg", "--dark"], ["-o", "one.txt"]],
    "export": [
        ["-o", "rows.csv"],
        ["-o", "steps.csv", "--rows", "steps"],
        ["-o", "rows.parquet"],
        ["-o", "line.json"],
    ],
    "compare": [["run.sqlite"], *(["run.sqlite", "-o", f"c.{e}"] for e in ("json", "csv", "md"))],
    "predict": [
        *(["--format", name] for name in ("table", "json", "csv", "md")),
        ["--write-to", "."],
    ],
    "scrub": [["-o", "clean.sqlite"]],
}
SILENT = {
    "bench": "reads no trace; below",
    "explain": "reads no trace",
    "cache": "prints the names of traces",
    "calibrate": "prints what it fitted, and needs PyTorch",
    "doctor": "reads no trace",
    "open": "hands a path to Nsight Systems",
    "profile": "reads no trace; below",
    "results": "prints what bench stored",
    "strategies": "reads no trace",
}


@pytest.fixture
def secretive(tmp_path):
    """A trace, and a manifest beside it, with secrets wherever they must not be read from."""
    trace = loop(tmp_path / "run.sqlite", manifest=manifest() | {"environment": {"A": CANARY}})
    told = json.loads(trace.with_suffix(".json").read_text())
    # What the page shows on purpose is no secret: the rest of the planted manifest is.
    for shown in ("capture", "workload", "host", "device", "git", "notes", "left_out"):
        told.pop(shown)
    told["capture"] = {"backend": "nsys", "environment": {"TOKEN": CANARY}, "argv": [CANARY]}
    trace.with_suffix(".json").write_text(json.dumps(told))
    plant(trace)
    assert CANARY.encode() in trace.read_bytes()
    return trace


def test_every_command_is_looked_at():
    assert {*COMMANDS, *SILENT} == set(cli.list_commands(click.Context(cli)))


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_tells_a_value_of_the_environment(inside, tmp_path, secretive, command):
    trace, planted = secretive, {*tmp_path.iterdir()}
    for options in COMMANDS[command]:
        words = ["--from", trace] if command == "predict" else [trace]
        done = inside(command, *words, *options, **ENVIRONMENT)
        assert done.returncode == 0, done.stderr
        assert CANARY not in done.stdout + done.stderr, (command, options)
        assert done.stdout or "-o" in options or "--write-to" in options
    written = [path for path in tmp_path.rglob("*") if path.is_file() and path not in planted]
    assert len(written) >= sum("-o" in options for options in COMMANDS[command])
    for path in written:
        data = path.read_bytes()
        assert CANARY.encode() not in data, path
        assert CANARY.encode("utf-16-le") not in data, path


@pytest.mark.parametrize("look", [[], ["--dark"]])
def test_a_picture_is_the_drawing_that_was_looked_at_and_no_more(inside, tmp_path, secretive, look):
    """Its pixels are packed, so no search finds a word in them: they are those of the drawing, in
    which words are found, and beside them the file holds no text."""
    for name in ("one.svg", "one.png"):
        done = inside("show", secretive, "-o", name, *look, **ENVIRONMENT)
        assert done.returncode == 0, done.stderr
    drawing = (tmp_path / "one.svg").read_text()
    assert CANARY not in drawing
    data = (tmp_path / "one.png").read_bytes()
    assert data == png(drawing)
    kinds, at = set(), 8
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kinds.add(data[at + 4 : at + 8])
        at += 12 + length
    assert {b"IHDR", b"IDAT", b"IEND"} <= kinds
    assert not kinds & {b"tEXt", b"zTXt", b"iTXt", b"eXIf"}


REQUESTS = [
    *(Question(by=by, top=3) for by in (None, "step", "cause", "strategy", "stream", "rank")),
    Question(definitions=True, top=3),
]


@pytest.mark.parametrize("name", reporters())
def test_no_reporter_tells_a_value_of_the_environment(secretive, monkeypatch, name):
    """By the registry: a new reporter is looked at without being named here."""
    for variable, value in ENVIRONMENT.items():
        monkeypatch.setenv(variable, value)
    report = analyze(secretive, Question())
    for question in REQUESTS:
        text = reporters()[name].render(Report((report,), question=question), Terminal())
        assert CANARY not in text
        assert "run" in text  # it did speak of the trace


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("name", exporters())
def test_no_exporter_tells_a_value_of_the_environment(secretive, monkeypatch, tmp_path, name, rows):
    for variable, value in ENVIRONMENT.items():
        monkeypatch.setenv(variable, value)
    data = b"".join(exporters()[name].chunks((analyze(secretive, Question()),), rows))
    assert len(data) > 100
    assert CANARY.encode() not in data
    if name == "parquet":  # its pages are compressed
        (tmp_path / "rows.parquet").write_bytes(data)
        table = pytest.importorskip("pyarrow.parquet").read_table(tmp_path / "rows.parquet")
        assert CANARY not in str(table.to_pydict()) + str(table.schema)


def test_no_recording_of_ours_holds_a_value_of_the_environment(harness, tmp_path):
    nsys = install(tmp_path / "bin")
    tiny = ("--strategy", "kv-cache", "--model", "tiny", "--max-new-tokens", "12")
    window = ("--steps", "2:9")
    recordings = (
        ["--nsys", nsys, "--device", "cpu", "--", "true"],
        ["--capture", "null", "--", "true"],
        ["--capture", "null", "--device", "cpu", *tiny, *window],
        ["--capture", "sim", *tiny, *window],
    )
    for k, words in enumerate(recordings):
        done = harness("profile", "--name", f"x{k}", *words, **ENVIRONMENT)
        assert done.returncode == 0, done.stderr
        assert CANARY not in done.stdout + done.stderr
    written = [path for path in (tmp_path / "traces").iterdir() if path.is_file()]
    assert len(written) >= 7
    assert all(CANARY.encode() not in path.read_bytes() for path in written)


def test_no_bench_results_hold_a_value_of_the_environment(harness, tmp_path):
    cell = ("--strategy", "kv-cache", "--batch-size", "1", "--max-seqlen", "8", "--rounds", "1")
    done = harness(
        *("bench", *cell, "--model", "tiny", "--device", "cpu", "--format", "json"), **ENVIRONMENT
    )
    assert done.returncode == 0, done.stderr
    assert "PYTORCH_CUDA_ALLOC_CONF" in done.stdout
    assert CANARY not in done.stdout + done.stderr
    assert CANARY.encode() not in (tmp_path / "results.db").read_bytes()


HARD = [
    'it\'s "quoted" `id` $(id) $HOME ;&|',
    "two\nlines",
    "-dash 100%",
    "--force",
    "wie ö ü *?[a]#b?c=d",
]


@pytest.mark.parametrize("name", HARD)
def test_hard_paths(inside, tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    trace = loop(folder / f"{name}.sqlite", manifest={"origin": "synthetic", "strategy": "s"})
    path = f"{name}/{name}.sqlite"
    for command in (
        ["gaps", "--format", "json", "-o", f"{name}/gaps.json", "--", path],
        ["report", "-o", f"{name}/page.html", "--", path],
        ["show", "-o", f"{name}/figure.svg", "--", path],
        ["export", "-o", f"{name}/rows.csv", "--", path],
        ["scrub", "-o", f"{name}/clean.sqlite", "--", path],
        ["profile", "--capture", "null", "-o", f"{name}/out", "--name", "x", "--", "echo", name],
    ):
        done = inside(*command)
        assert done.returncode == 0, done.stderr
        assert "internal error" not in done.stderr
    assert {path.name for path in folder.iterdir()} == {
        trace.name, f"{name}.json", "gaps.json", "page.html", "figure.svg", "rows.csv",
        "clean.sqlite", "clean.json", "out",
    }  # fmt: skip
    assert json.loads((folder / "out" / "x.json").read_text())["argv"] == ["echo", name]
    missing = inside("gaps", "--", f"{name}/{name}-missing.sqlite")
    assert missing.returncode == 1
    assert "internal error" not in missing.stderr


@pytest.mark.nsys
def test_hard_paths_reach_the_real_nsys(harness, tmp_path):
    name = '-two\nlines it\'s a "q" $HOME 100%'
    if shutil.which("nsys") is None:
        pytest.skip("nsys is not on PATH: hard paths under the real one not checked")
    script = tmp_path / f"{name}.py"
    script.write_text("import sys; print(sys.argv)")
    command = ("--", sys.executable, f"./{name}.py", name)
    done = harness("profile", "--device", "cpu", "-o", f"./{name}", "--name", "x", *command)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / name).iterdir()} == {
        "x.json", "x.nsys-rep", "x.sqlite",
    }  # fmt: skip
    cached = harness("gaps", f"./{name}/x.nsys-rep", HARNESS_CACHE=str(tmp_path / "cache"))
    assert "Traceback" not in cached.stderr
    assert "nsys export failed" not in cached.stderr
    assert len(list((tmp_path / "cache" / "exports").glob("*/x.sqlite"))) == 1


def test_no_shell_is_started_anywhere():
    """Every process is started from a list of words; nothing in the code can start a shell."""
    found = 0
    for folder in ("harness", "analysis", "scripts"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.keyword) and node.arg == "shell":
                    pytest.fail(f"{path}:{node.value.lineno} passes shell=")
                if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                    continue
                name = ast.unparse(node.func)
                assert name not in ("os.system", "os.popen", "subprocess.getoutput"), path
                assert not name.startswith("os.spawn"), path
                if name in ("subprocess.run", "subprocess.Popen", "subprocess.check_output"):
                    found += 1
                    words = node.args[0]
                    assert not isinstance(words, ast.Constant | ast.JoinedStr | ast.BinOp) or (
                        isinstance(words, ast.BinOp) and isinstance(words.left, ast.List)
                    ), f"{path}:{node.lineno} starts a process from a text"
    assert found >= 5


def test_the_shells_of_others_see_only_quoted_words(harness, tmp_path):
    """The commands that are printed to be pasted are quoted."""
    nsys = install(tmp_path / "bin")
    folder = tmp_path / "a; touch pwned"
    done = harness(
        *("profile", "--nsys", nsys, "--device", "cpu", "-o", folder, "--name", "x", "--", "true")
    )
    assert done.returncode == 0, done.stderr
    pasted = [line for line in done.stderr.splitlines() if line.startswith("  harness ")]
    assert len(pasted) == 2
    for line in pasted:
        assert Path(folder).name + "/x" in line
        subprocess.run(["sh", "-c", line.replace("harness ", "echo ", 1)], cwd=tmp_path, check=True)
    assert not (tmp_path / "pwned").exists()
