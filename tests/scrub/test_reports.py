"""What is printed, drawn and exported tells nothing of the environment, and starts no shell."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.capture.fake_nsys import install
from tests.report.build import loop

from .test_scrub import CANARY, ROOT, manifest, plant

OUTPUTS = ("page.html", "gaps.json", "gaps.csv", "gaps.md", "one.svg", "rows.csv", "line.json")


def test_no_report_holds_a_value_of_the_environment(inside, tmp_path):
    trace = loop(tmp_path / "run.sqlite", manifest=manifest() | {"environment": {"A": CANARY}})
    told = json.loads(trace.with_suffix(".json").read_text())
    # What the page shows on purpose is no secret: the rest of the planted manifest is.
    for shown in ("capture", "workload", "host", "device", "git", "notes", "left_out"):
        told.pop(shown)
    told["capture"] = {"backend": "nsys", "environment": {"TOKEN": CANARY}, "argv": [CANARY]}
    trace.with_suffix(".json").write_text(json.dumps(told))
    plant(trace)
    assert CANARY.encode() in trace.read_bytes()
    environment = {"HARNESS_CANARY": CANARY, "AWS_SECRET_ACCESS_KEY": CANARY}
    commands = [
        *([["gaps", trace, "--by", by] for by in ("step", "cause", "strategy", "stream")]),
        ["gaps", trace, "--definitions", "--plot", "--top", "3"],
        *([["gaps", trace, "-o", name] for name in ("gaps.json", "gaps.csv", "gaps.md")]),
        ["report", trace, "-o", "page.html"],
        ["show", trace],
        ["show", trace, "-o", "one.svg"],
        ["export", trace, "-o", "rows.csv"],
        ["export", trace, "--to", "perfetto", "-o", "line.json"],
        ["compare", trace, trace],
    ]
    for command in commands:
        done = inside(*command, **environment)
        assert done.returncode == 0, done.stderr
        assert CANARY not in done.stdout + done.stderr, command
    for name in OUTPUTS:
        assert CANARY not in (tmp_path / name).read_text(), name


def test_no_recording_of_ours_holds_a_value_of_the_environment(harness, tmp_path):
    nsys = install(tmp_path / "bin")
    for k, how in enumerate((["--nsys", nsys, "--device", "cpu"], ["--capture", "null"])):
        done = harness("profile", *how, "--name", f"x{k}", "--", "true", CANARY=CANARY)
        assert done.returncode == 0, done.stderr
        assert CANARY not in done.stdout + done.stderr
    written = [path for path in (tmp_path / "traces").iterdir() if path.is_file()]
    assert len(written) == 4
    assert all(CANARY.encode() not in path.read_bytes() for path in written)


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
    assert "exporting x.nsys-rep" in cached.stderr


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
