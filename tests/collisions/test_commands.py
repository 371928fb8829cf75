"""Every command where names are taken: nothing of the folder is run, and figures are the same."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.commands import MODULES

from ..conftest import ROOT
from .conftest import NEEDED, Place, fresh, take

SYNC, KV, PIPELINED = "example-sync.sqlite", "h100-kv-cache.sqlite", "h100-pipelined.sqlite"
SMALL = ("--model", "tiny", "--batch-size", "1")
# What each says is the same in any folder.
COMMANDS = (
    ("gaps", SYNC, "--format", "json"),
    ("gaps", KV, PIPELINED, "--format", "json", "--jobs", "2"),
    ("report", SYNC, KV, "-o", "report.html"),
    ("show", SYNC, "--step", "35"),
    ("show", SYNC, "--step", "35", "-o", "step.svg"),
    ("export", SYNC, "--to", "csv"),
    ("export", SYNC, "--to", "perfetto", "-o", "p.json"),
    ("compare", KV, PIPELINED, "--format", "json"),
    ("results", "--format", "csv"),
    ("calibrate", "bare.sqlite", "--format", "csv"),
    ("predict", "--from", SYNC, "--format", "json"),
    ("scrub", KV, "-o", "scrubbed.sqlite"),
    ("cache",),
    ("explain", "host-only"),
    ("open", SYNC),
)
# These measure, or take long enough once.
RECORDINGS = (
    ("strategies", "--json"),
    ("doctor", "--json"),
    ("profile", "--strategy", "kv-cache", "--capture", "sim", "--gpu", "h100", *SMALL),
    ("bench", "--strategy", "kv-cache", "--device", "cpu", *SMALL, "--max-seqlen", "4",
     "--rounds", "1", "-o", "bench.db"),
)  # fmt: skip


def test_no_command_is_left_out() -> None:
    assert {words[0] for words in (*COMMANDS, *RECORDINGS)} == set(MODULES)


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words[:2]))
def test_a_command_runs_nothing_of_the_folder(trapped: Place, clean: Place, words: tuple) -> None:
    runs = [place.start(("harness", *words)) for place in (trapped, clean)]
    said = [run.communicate(timeout=250) for run in runs]
    assert said[0][0] == said[1][0]
    assert [run.returncode for run in runs] == [words[0] == "open"] * 2, said[0][1]
    assert trapped.untouched()


@pytest.mark.parametrize("words", RECORDINGS, ids=lambda words: words[0])
def test_a_recording_runs_nothing_of_the_folder(trapped: Place, words: tuple) -> None:
    done = trapped.run("harness", *words)
    assert done.returncode == 0 or words[0] == "doctor", done.stderr
    assert "internal error" not in done.stderr
    assert trapped.untouched()


COMMAND = """
import json, os, sys
assert json.MINE
assert "PYTHONSAFEPATH" not in os.environ and not sys.flags.safe_path
assert os.path.samefile(sys.path[0] or ".", os.getcwd())
"""


@pytest.mark.parametrize("how", [("x.py",), ("-m", "x"), ("-c", "import x")])
def test_a_command_keeps_a_path_of_its_own(clean: Place, tmp_path: Path, how: tuple) -> None:
    (tmp_path / "json.py").write_text("MINE = True\n")
    (tmp_path / "x.py").write_text(COMMAND)
    place = dataclasses.replace(clean, folder=tmp_path)
    done = place.run("harness", "profile", "--capture", "null", "--", place.bin / "python", *how)
    assert done.returncode == 0, done.stderr


def test_python_m_harness_runs_what_is_called_harness_alone(
    installed: Path, clean: Place, tmp_path: Path
) -> None:
    """A module of that name here it takes for ours, and what -m itself imports comes before us."""
    place = fresh(installed, tmp_path)
    take(place, {*NEEDED, "analysis", "json", "typing", "subprocess", "multiprocessing", "signal"})
    words = ("python", "-m", "harness", "gaps", KV, PIPELINED, "--format", "csv", "--jobs", "2")
    known, done = clean.run(*words), place.run(*words)
    assert (done.returncode, done.stdout) == (0, known.stdout), done.stderr
    assert place.untouched()


API = """
import subprocess, sys
from pathlib import Path
from harness import environment, profile
from harness.analysis.analyze import analyze
from harness.capture.console import Console
from harness.capture.profile_run import _available
from harness.run.pool import spread
from work import double, lost

print(profile.gaps("h100-kv-cache.sqlite").devices[0].idle_ns)
print(analyze(Path("h100-kv-cache.sqlite")).devices[0].idle_ns)
print(sorted(spread(double, [1, 2], 2, lost)))
print(environment.versions(str(Path(sys.executable).resolve()))["python"])
print(len(_available("cpu", Console(sys.stderr, "asked"))) > 3)
print(subprocess.run([sys.executable, "-c", "import os; print(os.environ.get('PYTHONSAFEPATH'))"],
    capture_output=True, text=True).stdout)
"""
WORK = "def double(x): return 2 * x\ndef lost(x): return None\n"


def test_a_script_in_another_folder(trapped: Place, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(f'if __name__ == "__main__":\n    exec({API!r})\n')
    (tmp_path / "work.py").write_text(WORK)
    done = trapped.run("python", tmp_path / "script.py")
    assert done.returncode == 0, done.stderr
    idle, same, *rest = done.stdout.splitlines()
    assert int(idle) == int(same) > 0
    version = sys.version.split()[0]
    assert rest == ["[(0, 2), (1, 4)]", version, "True", "None", ""]
    assert trapped.untouched()


IN_ROOT = """
import sys
from harness.cli import main
for words in {commands!r}:
    sys.argv = ["harness", *words]
    try:
        main()
    except SystemExit as end:
        assert end.code == 0, words
assert "analysis" not in sys.modules
import analysis  # it lies here, and would have been found
"""


def test_the_checkouts_own_analysis_is_imported_by_one_name() -> None:
    commands = [
        ["gaps", f"traces/{SYNC}"],
        ["show", f"traces/{SYNC}", "--step", "35"],
        ["export", f"traces/{SYNC}", "--to", "csv"],
        ["compare", f"traces/{KV}", f"traces/{PIPELINED}"],
        ["results", "traces/h100-graphs.db"],
    ]
    done = subprocess.run(
        [sys.executable, "-c", IN_ROOT.format(commands=commands)],
        cwd=ROOT, env={**os.environ, "HARNESS_CACHE": "off"}, capture_output=True, text=True,
        timeout=250, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
