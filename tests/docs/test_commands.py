"""Every command that the documentation prints is run, as printed but for the changes named here.

A command that is neither run, nor changed, nor listed below with the reason fails the tests.
"""

from __future__ import annotations

import contextlib
import glob
import io
import os
import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from ..conftest import ROOT
from . import sandbox
from .commands import Printed, printed, shown

SMALL = "--model tiny --batch-size 1 --max-new-tokens 16"
TINY = f"{SMALL} --steps 3:13 --warmup-steps 1"

CHANGED = (
    # A GPU's minutes are a CPU's hours: the same command on a tiny model. Later options win.
    (r"harness bench --resume", ""),
    (r"harness bench", "--device cpu --model tiny --batch-size 1 --max-seqlen 8 --rounds 1"),
    (r"harness predict --gpu my-machine", f"{SMALL} --strategy kv-cache"),
    (r"harness predict --gpu .* --model", "--batch-size 1 --max-new-tokens 12"),
    (r"harness predict --gpu", f"{SMALL} --gpu l40s,h100 --strategy kv-cache,pipelined"),
    (r"harness calibrate run.json.gz", TINY),
    (r"harness profile --strategy", TINY),
)
"""(beginning of the command, options added at its end): the first that fits."""

PLACEHOLDERS = {
    "TRACE": "run.sqlite", "BEFORE": "before.sqlite", "AFTER": "after.sqlite", "ID": "last",
    "traces/pipelined-....nsys-rep": "traces/pipelined.nsys-rep",
}  # fmt: skip

NEEDS_GPU = re.compile(r"--capture cupti")
"""Run here all the same: refused for the GPU that is not there, and for nothing else."""

ELSEWHERE = {
    "harness bench --preset article --time-budget 480 -o results.db":
        "eight minutes on a GPU; tests/bench/test_plan.py plans it",
    "harness profile --all": "nineteen recordings; each strategy is simulated by tests/sim",
    "harness profile --all --capture cupti --batch-size 16": "needs a GPU",
    "harness gaps /shared/runs/*.sqlite --dask tcp://host:8786":
        "needs a cluster; tests/many/test_dask.py starts one",
    "harness profile --strategy kv-cache --device cpu --model tiny":
        "tests/capture/test_profile.py records strategies like that",
    "harness doctor": "records for seconds; tests/capture/test_doctor.py runs it",
    "harness doctor --json": "the same",
    "harness doctor --nsys /opt/nvidia/nsight-systems/2025.5.1/bin/nsys": "the same",
    "harness profile --strategy kv-cache --calibrate":
        "needs a GPU or nsys, and three runs more; tests/bench/test_calibrate.py runs it",
    "python scripts/stranger.py": "minutes of pip; .ci/run runs it with --light",
    "python3 -m venv .venv": "scripts/stranger.py does it",
    ". .venv/bin/activate": "the same",
    "apt-get install nsight-systems": "needs root; .ci/install-nsys does it",
    "apt-get install libdw1": "needs root",
    "python -m harness.target --strategy deferred --model tiny --device cpu --force-eos-at 60 "
    "--result -": "tests/decode/test_docs.py runs it",
    "python -m harness": "without a command it only helps; tests/collisions runs it with one",
    "python scripts/simulator_tables.py measured": "minutes; rows of it: tests/sim/test_docs.py",
    "python scripts/simulator_tables.py article": "the same",
    "python scripts/make_examples.py --force": "tests/writer/test_examples.py runs it",
    "pytest tests/cupti": "it is among these tests",
    "python -m tests.fuzz.run --replay 4711": "tests/fuzz/test_readers.py runs the same, bounded",
    "python -m tests.fuzz.guided --reader json": "runs until stopped, under atheris",
    "python -m tests.fuzz.run --mutants 104000 --first 2000000 --jobs 2": "a quarter of an hour",
    "python benchmarks/big_trace.py --peers": "minutes",
    "python benchmarks/sizes.py": "half an hour",
    "python benchmarks/bare.py FOLDER...":
        "needs recordings from a GPU; tests/bare/test_measured.py has some",
    "python benchmarks/stages.py": "a minute",
    "python benchmarks/detection.py": "minutes; tests/analysis/test_detection.py runs some of it",
    "python benchmarks/detection.py FOLDER": "the same",
    "python benchmarks/planted_vs_peers.py --write docs/planted.md":
        "writes in the checkout; tests/planted/test_page.py asks and compares",
    "python benchmarks/planted_vs_peers.py --ask --nsys-ai A/bin/nsys-ai --hta-python B/bin/python":
        "needs nsys-ai and HTA, and minutes",
    "python scripts/simulator_tables.py bench": "minutes",
    "python benchmarks/interval_coverage.py":
        "minutes; tests/bench/test_interval_coverage.py runs it with fewer draws",
    "python benchmarks/many_traces.py --traces 12 --kernels 100000": "minutes",
    "sh benchmarks/gpu/smoke.sh FOLDER": "needs a GPU",
    "sh benchmarks/gpu/fetch_wheels.sh": "for a GPU machine",
    "sh benchmarks/gpu/ablation.sh results": "needs a GPU",
    "python benchmarks/gpu/graph_probe.py": "needs a GPU",
    "sh benchmarks/gpu/bare.sh results": "needs a GPU",
    "sh benchmarks/gpu/bench.sh results 540": "needs a GPU",
    "sh benchmarks/gpu/first_recording.sh results": "needs a GPU",
    "sh benchmarks/gpu/record.sh results 540": "needs a GPU",
    "sh benchmarks/gpu/nsys.sh results": "needs a GPU",
    "python benchmarks/gpu/evidence.py": "needs a GPU",
    "python benchmarks/gpu/evidence.py results": "needs a GPU",
    "python benchmarks/gpu/stale_flags.py": "needs a GPU",
    "python benchmarks/gpu/stale_flags.py results": "needs a GPU",
}  # fmt: skip
"""Commands that are not run here, and why."""

PARTS = re.compile(
    r"nsys (stats|profile|recipe|export)\b|QdstrmImporter|pip install$"
    r"|python (SCRIPT|-m harness\.target)$"
    r"|timeout 600 harness profile \.\.\.$"
)
"""In sentences: other programs' commands without what they work on."""

COMMANDS = printed()
_TUTORIAL = {line for page, line, _ in shown() if page == "docs/tutorial.md"}
"""Run one after the other by test_tutorial.py."""
_SHOWN = {line for _, line, _ in shown()}
_ran: set[tuple[str, str]] = set()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("documented")
    sandbox.build(folder)
    with pytest.MonkeyPatch.context() as patch:
        _at_home(patch, folder)
        for name in ("kv-cache", "pipelined"):
            words = f"profile --strategy {name} --name {name} --capture sim --gpu h100 {TINY}"
            with (
                contextlib.redirect_stdout(io.StringIO()),
                contextlib.redirect_stderr(io.StringIO()),
            ):
                assert sandbox.call(shlex.split(words)) == 0
    (folder / "traces" / "pipelined.nsys-rep").write_bytes(b"a report")
    return folder


@pytest.fixture
def place(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with everything that the pages name, where nothing real is started."""
    sandbox.copy(template, tmp_path)
    _at_home(monkeypatch, tmp_path)
    return tmp_path


def _at_home(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.chdir(folder)
    patch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")
    patch.setenv("HARNESS_CACHE", str(folder / "cache"))
    patch.setenv("DISPLAY", ":9")
    patch.setenv("OMP_NUM_THREADS", "1")  # which the simulation sets for its own process
    patch.delenv("COLUMNS", raising=False)
    patch.setattr("harness.environment.has_gpu", lambda: False)
    patch.setattr("harness.capture.sim.run_target", sandbox.simulate_here)
    patch.setattr("harness.bench.pool.Worker", sandbox.WorkerHere)


def run(words: list[str], capfd: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """The same: exit code, standard output, standard error."""
    capfd.readouterr()
    code = sandbox.call(words)
    return (code, *capfd.readouterr())


def command_of(name: str) -> click.Command:
    from harness.cli import cli

    found = cli.get_command(click.Context(cli), name)
    assert found is not None, f"harness {name}: there is no such command"
    return found


def options_of(name: str) -> set[str]:
    return {word for one in command_of(name).params for word in (*one.opts, *one.secondary_opts)}


def ready(one: Printed) -> list[str]:
    """Its words with placeholders filled, wildcards expanded and the changes made."""
    words = [PLACEHOLDERS.get(word, word) for word in one.words]
    words = [part for word in words for part in (sorted(glob.glob(word)) or [word])]
    added = next((more for begins, more in CHANGED if re.match(begins, one.line)), "")
    program = words[1] == "profile" and any(w == "-m" or w.endswith(".py") for w in words)
    program = program and "--" not in words
    if (program or "--" in words) and not NEEDS_GPU.search(one.line):
        # Here a program of one's own can only be recorded on the CPU.
        words.insert(2 if program else words.index("--"), "--device=cpu")
    if program or "--" in words:
        return words
    return words + shlex.split(added)


def of(program: str) -> list[Printed]:
    """The commands of a program that are run here."""
    elsewhere = {*ELSEWHERE, *_TUTORIAL}
    mine = (one for one in COMMANDS if one.words[0] == program and one.line not in elsewhere)
    return [one for one in mine if not PARTS.match(one.line)]


def runs(one: Printed) -> bool:
    """Whether it names what it works on; else it is a part of a command, in a sentence.

    Where its output is shown too, the last test runs it.
    """
    if one.line in _SHOWN:
        return False
    rest = one.words[2:]
    return one.whole or any("." in word or word in PLACEHOLDERS for word in rest)


@pytest.mark.parametrize("one", [x for x in of("harness") if runs(x)], ids=lambda one: one.line)
def test_it_runs(one: Printed, place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed: commands not run")
    torch.set_num_threads(1)
    words = ready(one)
    parsed = repr(command_of(words[1]).make_context(words[1], words[2:]).params)
    if (words[1], parsed) in _ran:
        return  # another page's command comes to the same
    _ran.add((words[1], parsed))
    output = words[words.index("-o") + 1] if "-o" in words else None
    if output and not output.endswith(".db"):
        Path(output).unlink(missing_ok=True)
    with resumable(one, place):
        code, out, err = run(words[1:], capfd)
    if NEEDS_GPU.search(one.line):
        assert code == 125, err
        assert "no NVIDIA GPU" in err
        return
    assert code == 0, err
    assert "Traceback" not in err
    if output:
        assert (place / output).stat().st_size > 0
    else:
        assert out or err


@contextlib.contextmanager
def resumable(one: Printed, place: Path) -> Iterator[None]:
    """`--resume` needs a session of this machine that was cut short: one is made."""
    if "--resume" in one.words:
        from harness.bench.store import Store

        (place / "results.db").unlink()
        words = "bench --strategy kv-cache --device cpu --model tiny --max-seqlen 8 --rounds 1"
        assert sandbox.call([*shlex.split(words), "--batch-size=1"]) == 0
        with Store.writing(place / "results.db") as store:
            store.change("sessions", store.session()["id"], status="interrupted")
    yield


@pytest.mark.parametrize("one", [x for x in of("harness") if not runs(x)], ids=lambda one: one.line)
def test_what_a_sentence_names_is_there(one: Printed) -> None:
    name, *rest = one.words[1:]
    options = {word.partition("=")[0] for word in rest if word.startswith("-")}
    assert options <= options_of(name)


@pytest.mark.parametrize("one", [*of("torchrun"), *of("srun")], ids=lambda one: one.line)
def test_a_launcher_starts_it(one: Printed, place: Path) -> None:
    words = ready(one)
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    if NEEDS_GPU.search(one.line):
        assert done.returncode == 125
        assert "no NVIDIA GPU" in done.stderr
        return
    assert done.returncode == 0, done.stderr
    assert "a loop of 0 options" in done.stderr + done.stdout


@pytest.mark.parametrize("one", of("make"), ids=lambda one: one.line)
def test_make_has_it(one: Printed) -> None:
    """Dry: what it would do is done by CI, or starts these tests."""
    done = subprocess.run(
        [*one.words, "-n"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.parametrize("one", of("pip"), ids=lambda one: one.line)
def test_pip_would_find_it(one: Printed) -> None:
    """Installing is scripts/stranger.py's; here: the names and extras are those of pyproject."""
    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [word for word in one.words[2:] if word != "-e"]
    assert one.words[1] == "install"
    assert wanted
    for word in wanted:
        name = project["name"] + word[1:] if word.startswith(".") else word
        requirement = Requirement(name)
        if requirement.name == project["name"]:
            assert requirement.extras <= set(project["optional-dependencies"])


@pytest.mark.parametrize("one", of("nsys"), ids=lambda one: one.line)
def test_nsys_does_it(one: Printed, template: Path, tmp_path: Path) -> None:
    if shutil.which("nsys") is None:
        pytest.skip("nsys is not on PATH: its own commands not run (.ci/install-nsys)")
    sandbox.copy(template, tmp_path)
    done = subprocess.run(
        one.words, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0
    assert "GPU was not found to be\nidle for more than 1ms" in done.stdout  # as the page says


def test_no_command_is_left_out() -> None:
    """Each is run by a test above, or listed; and nothing is listed that no page prints."""
    lines = {one.line for one in COMMANDS}
    tested = {
        one.line for p in ("harness", "torchrun", "srun", "make", "pip", "nsys") for one in of(p)
    }
    unseen = {line for line in lines - tested - _TUTORIAL - set(ELSEWHERE) if not PARTS.match(line)}
    assert not unseen
    assert set(ELSEWHERE) <= lines
    assert len(lines) > 100, "the pages print many: were they not found?"
    for reason in ELSEWHERE.values():
        for path in re.findall(r"[\w./]+\.py|\.ci/[\w-]+", reason):
            assert (ROOT / path).is_file(), path


@pytest.mark.parametrize(
    ("page", "line", "output"),
    [one for one in shown() if one[1] not in _TUTORIAL],
    ids=lambda value: str(value)[:60],
)
def test_output_shown_is_output_given(
    page: str, line: str, output: str, place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch", reason="torch is not installed: outputs not compared")
    words = [part for word in shlex.split(line)[1:] for part in (sorted(glob.glob(word)) or [word])]
    _, out, err = run(words, capfd)
    for part in output.split("..."):
        assert part.strip() in out + err
