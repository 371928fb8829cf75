"""What nsys does wrong in silence ends in one line that says how to mend it.

Against a stand-in for nsys that does each of these things on request; the real one follows in
test_profile.py.
"""

from __future__ import annotations

import json
import sys

import pytest

from harness.capture.nsys.features import find_nsys

from .fake_nsys import install

TARGET = ("--", sys.executable, "-c")
OK = "print('target says hello')"


@pytest.fixture
def profile(harness, tmp_path):
    """Run `harness profile` on a one-line program with the stand-in; FAKE_NSYS chooses its mode."""
    nsys = install(tmp_path / "fake" / "bin")

    def run(mode, *options, code=OK, **env):
        return harness(
            *("profile", "--nsys", nsys, "--device", "cpu", "--name", "x"),
            *options,
            *TARGET,
            code,
            FAKE_NSYS=mode,
            TMPDIR=str(tmp_path),
            **env,
        )

    return run


def lines(done):
    return done.stderr.strip().splitlines()


def traces(tmp_path):
    folder = tmp_path / "traces"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_a_good_run(profile, tmp_path):
    done = profile("steps", "--label", "first try")
    assert done.returncode == 0, done.stderr
    assert traces(tmp_path) == ["x.json", "x.nsys-rep", "x.sqlite"]
    manifest = json.loads((tmp_path / "traces" / "x.json").read_text())
    assert manifest["label"] == "first try"
    assert manifest["steps_recorded"] == 3
    assert manifest["capture"]["tool_version"] == "2022.4.2.1-df9881f"
    assert manifest["argv"] == [sys.executable, "-c", OK]
    assert "target says hello" in done.stderr
    assert "target says hello" not in done.stdout


@pytest.mark.parametrize(
    ("mode", "code", "words"),
    [
        ("none", 125, "left no report; run harness doctor"),
        ("empty", 125, "left no report; run harness doctor"),
        ("diverted", 125, "left its report at"),
        ("usage", 125, "rejected its options: unrecognised option '--wait'"),
    ],
)
def test_no_report(profile, tmp_path, mode, code, words):
    done = profile(mode)
    assert done.returncode == code
    assert words in lines(done)[-1]
    assert lines(done)[-1].startswith("harness: error: ")
    assert traces(tmp_path) == []
    assert done.stdout == ""


def test_an_nsys_that_fails_to_start_is_started_again(profile, tmp_path):
    done = profile("start-fails-2", FAKE_NSYS_STARTS=str(tmp_path / "starts"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "starts").read_text() == "xxx"
    assert done.stderr.count("target says hello") == 1
    again = "nsys failed to start (sem_open: No such file or directory); starting it again"
    assert done.stderr.count(again) == 2
    assert "QuadD" not in done.stderr
    assert traces(tmp_path) == ["x.json", "x.nsys-rep", "x.sqlite"]


def test_an_nsys_that_never_starts(profile, tmp_path):
    done = profile("start-fails-9", FAKE_NSYS_STARTS=str(tmp_path / "starts"))
    assert done.returncode == 125
    assert "failed to start, 3 times in a row: sem_open: No such file" in lines(done)[-1]
    assert done.stderr.count("starting it again") == 2
    assert lines(done)[-1].endswith("[nsys-start-failed]")
    assert "target says hello" not in done.stderr
    assert traces(tmp_path) == []


@pytest.mark.parametrize("code", [OK, "import time; time.sleep(1)"])
def test_an_nsys_that_fails_while_the_target_runs_does_not_run_it_twice(profile, code):
    done = profile("throws", code=code)
    assert done.returncode == 125
    assert "failed and left no report: sem_open: No such file" in lines(done)[-1]
    assert done.stderr.count("target says hello") <= 1
    assert "starting it again" not in done.stderr


@pytest.mark.parametrize("code", [OK, "import time; time.sleep(1)"])
def test_a_target_that_says_what_nsys_says_is_not_run_twice(profile, code):
    done = profile("reset", code=code)
    assert done.returncode == 1
    assert lines(done)[-1].endswith("[target-failed]")
    assert "starting it again" not in done.stderr


@pytest.mark.parametrize(
    ("mode", "code"),
    [
        ("throws-full", "disk-full"), ("throws-usage", "nsys-options-rejected"),
        ("throws-format", "not-executable"), ("throws-diverted", "report-elsewhere"),
        ("throws-other", "nsys-failed"), ("throws-chatter", "nsys-failed"),
        ("throws-killed", "nsys-killed"),
    ],
)  # fmt: skip
def test_an_exception_does_not_hide_what_nsys_said_before(profile, tmp_path, mode, code):
    """Nor is nsys started again for one that it throws at another time, or when it was killed."""
    done = profile(mode, code="import os; open('ran', 'a').write('x')")
    assert lines(done)[-1].endswith(f"[{code}]")
    assert (tmp_path / "ran").read_text() == "x"
    assert "starting it again" not in done.stderr


def test_a_range_that_never_opens(profile):
    done = profile("none", "--capture-range", "nvtx:decode")
    assert done.returncode == 125
    assert "range nvtx:decode never opened" in lines(done)[-1]
    assert "check the name" in lines(done)[-1]


def test_a_cuda_range_that_never_opens(profile):
    done = profile("none", "--capture-range", "cudaProfilerApi")
    assert done.returncode == 125
    assert "torch.cuda.profiler.start()" in lines(done)[-1]


def test_a_target_that_fails_first(profile):
    done = profile("none", "--capture-range", "nvtx:decode", code="raise SystemExit(42)")
    assert done.returncode == 42
    assert "exited with code 42 before its capture range (nvtx:decode) opened" in lines(done)[-1]


def test_a_failing_target_with_a_report(profile, tmp_path):
    done = profile("good", code="raise SystemExit(42)")
    assert done.returncode == 42
    assert traces(tmp_path) == ["x.json", "x.nsys-rep", "x.sqlite"]
    assert json.loads((tmp_path / "traces" / "x.json").read_text())["exit_code"] == 42


def test_a_raw_stream_without_its_importer_is_kept(profile, tmp_path, monkeypatch):
    # The installed importer, where there is one, is of another build than the stand-in claims.
    nsys = install(tmp_path / "other" / "bin", version="2031.1.1.5-0000000")
    done = profile("raw", "--nsys", nsys)
    assert done.returncode == 125
    assert "QdstrmImporter" in done.stderr
    assert "2031.1.1" in done.stderr
    assert traces(tmp_path) == ["x.json", "x.qdstrm"]
    manifest = json.loads((tmp_path / "traces" / "x.json").read_text())
    assert manifest["capture"]["tool_version"] == "2031.1.1.5-0000000"
    assert "SQLite export" in manifest["left_out"]


def test_a_failed_export_keeps_the_report(profile, tmp_path):
    done = profile("export")
    assert done.returncode == 125
    assert "nsys export failed with exit code 1 and said: Database is locked" in done.stderr
    assert traces(tmp_path) == ["x.json", "x.nsys-rep"]


def test_output_that_exists(profile, tmp_path):
    folder = tmp_path / "traces"
    folder.mkdir()
    (folder / "x.sqlite").write_text("precious")
    done = profile("good")
    assert done.returncode == 125
    assert "x.sqlite exists; use --force, or another --name" in lines(done)[-1]
    assert "target says hello" not in done.stderr  # refused before any work
    assert (folder / "x.sqlite").read_text() == "precious"
    assert profile("good", "--force").returncode == 0
    assert (folder / "x.sqlite").read_bytes().startswith(b"SQLite")


@pytest.mark.parametrize("name", ['it\'s a "name"', "$HOME;`id`&*", "50%% ünï cödé"])
def test_strange_names(profile, tmp_path, name):
    done = profile("good", "--name", name)
    assert done.returncode == 0, done.stderr
    stem = name.replace("%%", "%")
    assert traces(tmp_path) == [f"{stem}.json", f"{stem}.nsys-rep", f"{stem}.sqlite"]


@pytest.mark.parametrize("name", ["a\nb", "-dash", "a/b", "", ".."])
def test_names_that_are_refused(profile, tmp_path, name):
    done = profile("good", f"--name={name}")
    assert done.returncode == 2
    assert "choose another --name" in lines(done)[-1]
    assert traces(tmp_path) == []


def test_a_folder_with_a_strange_name(profile, tmp_path):
    done = profile("good", "-o", '100% "of" it\'s')
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / '100% "of" it\'s').iterdir())) == 3


@pytest.mark.parametrize("folder", ["/proc/nope", "/sys/nope"])
def test_a_folder_that_cannot_be_written(profile, folder):
    done = profile("good", "-o", folder)
    assert done.returncode == 125
    assert f"cannot write into {folder}" in lines(done)[-1]


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        (["no-such-program"], 127, "no-such-program: not found"),
        (["./missing"], 127, "./missing: not found"),
        (["/"], 126, "/: not an executable file"),
        (["./plain.txt"], 126, "-- python ./plain.txt"),
    ],
)
def test_commands_that_cannot_run(harness, tmp_path, command, code, words):
    (tmp_path / "plain.txt").write_text("print(1)\n")
    nsys = install(tmp_path / "bin")
    done = harness("profile", "--nsys", nsys, "--device", "cpu", "--", *command)
    assert done.returncode == code
    assert words in lines(done)[-1]


def test_an_executable_that_is_no_program(harness, tmp_path):
    path = tmp_path / "script"
    path.write_text("echo hi\n")
    path.chmod(0o755)
    done = harness("profile", "--capture", "null", "--device", "cpu", "--", path)
    assert done.returncode == 126
    assert "give it a '#!' line" in lines(done)[-1]
    assert traces(tmp_path) == []


def test_arguments_reach_the_target_untouched(harness, tmp_path):
    nsys = install(tmp_path / "bin")
    words = ["a b", "$HOME", "it's", "--strategy", "-o", "", "x;y", "\n", "%q{HOME}"]
    code = "import json, sys; json.dump(sys.argv[1:], open('said.json', 'w'))"
    command = [sys.executable, "-c", code, *words]
    done = harness("profile", "--nsys", nsys, "--device", "cpu", "--", *command)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "said.json").read_text()) == words


def test_the_environment_reaches_the_target_and_nothing_is_added_to_its_path(harness, tmp_path):
    nsys = install(tmp_path / "bin")
    code = "import json, os; json.dump(dict(os.environ), open('env.json', 'w'))"
    command = [sys.executable, "-c", code]
    options = ("--nsys", nsys, "--device", "cpu")
    done = harness("profile", *options, "--", *command, SECRET="s3cret", PYTHONPATH="/mine")
    assert done.returncode == 0, done.stderr
    env = json.loads((tmp_path / "env.json").read_text())
    assert env["SECRET"] == "s3cret"
    assert env["PYTHONPATH"] == "/mine"
    written = b"".join(path.read_bytes() for path in (tmp_path / "traces").iterdir())
    assert b"s3cret" not in written


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "name your program (harness profile train.py)"),
        ([], "nothing to record"),
        (["--strategy", "kv-cache", "--", "true"], "exclude each other"),
        (["--batch-size", "4", "--", "true"], "--batch-size describes the harness's own loop"),
        (["--strategy", "kv-cache", "--capture-range", "none"], "is for a COMMAND"),
        (["--capture-range", "sometimes", "--", "true"], "use auto, cudaProfilerApi, nvtx:NAME"),
        (["--strategy", "kv-cache", "--steps", "none"], "--steps none records nothing"),
        (["--capture", "magic", "--", "true"], "'magic' is none of auto, "),
        (["--name", "%q{NO_SUCH_VARIABLE}", "--", "true"], "NO_SUCH_VARIABLE is not set"),
    ],
)
def test_command_lines_that_contradict_themselves(harness, tmp_path, options, words):
    nsys = install(tmp_path / "bin")
    done = harness("profile", "--nsys", nsys, "--device", "cpu", *options)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert traces(tmp_path) == []


def test_ranks_get_files_of_their_own(profile, tmp_path):
    for rank in ("0", "1"):
        done = profile("good", RANK=rank, WORLD_SIZE="2")
        assert done.returncode == 0, done.stderr
        named = profile("good", "--name", "job-%q{RANK}", RANK=rank, WORLD_SIZE="2")
        assert named.returncode == 0, named.stderr
        # The first rank speaks for all, with a pattern that takes them all in.
        assert ("harness gaps traces/x-rank*.sqlite" in done.stderr) == (rank == "0")
        assert ("harness gaps traces/job-*.sqlite" in named.stderr) == (rank == "0")
        assert bool(named.stdout) == (rank == "0")
    assert [name for name in traces(tmp_path) if name.endswith(".json")] == [
        "job-0.json",
        "job-1.json",
        "x-rank0.json",
        "x-rank1.json",
    ]
    assert json.loads((tmp_path / "traces" / "x-rank1.json").read_text())["rank"] == 1


def test_without_a_gpu_and_without_a_word_about_it(harness, tmp_path):
    asked = ("profile", "--strategy", "kv-cache", "--model", "tiny", "--batch-size", "2")
    small = ("--max-new-tokens", "20", "--steps", "5:15")
    done = harness(*asked, *small, CUDA_VISIBLE_DEVICES="-1")
    assert done.returncode == 0, done.stderr
    assert "one is simulated; every figure is marked so" in done.stderr
    assert "simulated" in done.stdout


def test_a_gpu_that_is_asked_for_and_not_there(harness):
    done = harness("profile", "--device", "cuda", "--", "true", CUDA_VISIBLE_DEVICES="-1")
    assert done.returncode == 125
    assert "--device cuda asks for one" in lines(done)[-1]


def test_no_profiler_at_all(harness, tmp_path):
    done = harness("profile", "--capture", "null", "--name", "n", "--", sys.executable, "-c", OK)
    assert done.returncode == 0, done.stderr
    assert traces(tmp_path) == ["n.json"]
    manifest = json.loads((tmp_path / "traces" / "n.json").read_text())
    assert manifest["capture"]["backend"] == "null"
    assert manifest["durations_s"]["record"] > 0


def test_without_nsys(harness, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    if find_nsys() is not None:
        pytest.skip(f"nsys is installed off PATH as well ({find_nsys()}): its lack not checked")
    done = harness("profile", "--device", "cpu", "--", sys.executable, "-c", OK, PATH=str(tmp_path))
    assert done.returncode == 125
    assert len(lines(done)) == 1
    assert "Nsight Systems (nsys) is not installed" in lines(done)[0]
    assert "apt-get install nsight-systems" in lines(done)[0]
    assert "https://developer.nvidia.com/nsight-systems" in lines(done)[0]
