"""`harness profile --capture sim` in processes of its own, and what NVIDIA's tools say of it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time

import pytest

pytest.importorskip("torch", reason="simulating needs torch (pip install '.[strategies]')")

from harness import environment
from harness.analysis.analyze import analyze
from harness.analysis.gains.gpu import built_in

from ..conftest import ROOT
from ..external.nvidia import Nsys

SMALL = ("--model", "tiny", "--max-new-tokens", "20", "--steps", "5:15", "--batch-size", "2")


def harness(*words: str, cwd, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness", *words],
        cwd=cwd, capture_output=True, text=True, env={**os.environ, **env}, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sim")
    done = harness(
        "profile", "--strategy", "pipelined", "--strategy", "cuda-graph", "--capture", "sim",
        "--gpu", "l40s", *SMALL, "-o", ".", "--name", "run", cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder, done


def test_the_recording_is_marked_simulated_everywhere(recorded):
    folder, done = recorded
    assert "(simulated)" in done.stdout
    assert "simulated on NVIDIA L40S 48GB, nothing was measured" in done.stderr
    manifest = json.loads((folder / "run-pipelined.json").read_text())
    assert manifest["origin"] == "simulated"
    assert manifest["capture"]["backend"] == "sim"
    assert manifest["device"]["name"] == "NVIDIA L40S 48GB (simulated)"
    assert manifest["strategy"] == "pipelined"
    assert manifest["result"]["simulated"]["values"] == "real"
    assert manifest["steps_recorded"] == 10
    assert analyze(folder / "run-pipelined.sqlite").trace.source.origin == "simulated"


def test_a_quiet_recording_of_a_strategy_says_nothing(tmp_path):
    done = harness(
        "profile", "--strategy", "kv-cache", "--capture", "sim", *SMALL, "-o", ".", "-q",
        cwd=tmp_path,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_the_demo_makes_its_point_in_a_screen(tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "demo.py", tmp_path / "demo"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        env={**os.environ, "COLUMNS": "80"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert len(lines) <= 30, done.stdout
    said = " ".join(lines)
    for told in ("Why: ", "To do: ", "That would win ", "With one CUDA graph a step takes "):
        assert told in said


def test_harness_gaps_reads_it_unchanged(recorded):
    folder, _ = recorded
    shown = harness("gaps", "run-pipelined.sqlite", "run-cuda-graph.sqlite", cwd=folder)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.count("(simulated)") >= 2
    assert "to win by" in shown.stdout


def test_auto_simulates_without_a_gpu_and_gives_the_same_bytes_in_another_process(
    recorded, tmp_path
):
    folder, _ = recorded
    here = environment.has_gpu()
    asked = ("--capture", "sim") if here else ()  # with a GPU, auto would record it
    again = harness(
        "profile", "--strategy", "pipelined", *asked, *SMALL, "-o", ".", "--name", "run-pipelined",
        cwd=tmp_path, PYTHONHASHSEED="7", OMP_NUM_THREADS="2",
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
    said = "sim, as asked: " if here else "harness: sim: "
    assert f"{said}no GPU is used, one is simulated" in again.stderr
    first, second = (
        hashlib.sha256((f / "run-pipelined.sqlite").read_bytes()).hexdigest()
        for f in (folder, tmp_path)
    )
    assert first == second


def test_a_race_is_an_error(tmp_path):
    slow = tmp_path / "slow.toml"
    text = built_in()["h100"].read_text()
    slow.write_text(
        text.replace("elementwise_ns = { value = 1_100", "elementwise_ns = { value = 99_000")
    )
    done = harness(
        "profile", "--strategy", "pipelined-published", "--capture", "sim", "--gpu", str(slow),
        *SMALL, "-o", ".", "--name", "run", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 1
    assert "error: host-device race: step" in done.stderr
    manifest = json.loads((tmp_path / "run.json").read_text())
    assert any("host-device races" in note for note in manifest["notes"])
    assert manifest["result"]["simulated"]["races"]
    assert (tmp_path / "run.sqlite").exists()


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("--strategy", "pipelined", "--capture", "sim", "--gpu", "b300"), 2, "no GPU is called"),
        (("--capture", "sim", "--", "python", "x.py"), 2, "not a COMMAND"),
        (("--strategy", "kv-cache", "--capture", "null", "--gpu", "l40s"), 2, "--gpu names a GPU"),
    ],
)
def test_errors_are_one_line_and_leave_nothing(tmp_path, words, code, says):
    done = harness("profile", *words[:-3] if "--" in words else words, *(() if "--" in words else
        (*SMALL, "-o", "out")), *(words[-3:] if "--" in words else ()), cwd=tmp_path)  # fmt: skip
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    left = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert left == []


def test_a_hundred_steps_of_gpt2_take_less_than_thirty_seconds():
    from harness.analysis.gains.gpu import load_gpu
    from harness.decode.workload import Workload
    from harness.simgpu.run import simulate

    workload = Workload(strategy="kv-cache", model="gpt2", device="cpu", eos_id=-1)
    began = time.process_time()
    done = simulate(workload, load_gpu("l40s"))
    assert time.process_time() - began < 30
    assert done.values == "shapes"
    assert done.result["steps"]["executed"] == 100
    # torch.profiler on an H100 saw 244 operations a step at batch 1, where no product is split.
    operations = len(done.log.operations) / 20
    assert operations == pytest.approx(244, abs=5)


@pytest.mark.nsys
def test_nvidias_gaps_rule_finds_the_same_gaps(recorded, tmp_path):
    folder, _ = recorded
    nsys = Nsys.find(tmp_path)
    for name in ("run-pipelined", "run-cuda-graph"):
        path = folder / f"{name}.sqlite"
        (ours,) = analyze(path).gaps
        inner = ~ours.boundary
        expected = set(zip(ours.start[inner].tolist(), ours.end[inner].tolist(), strict=True))
        assert {(gap.start, gap.end) for gap in nsys.gaps(path)} == expected


@pytest.mark.nsys
def test_nvidias_projection_and_kernel_reports_read_it(recorded, tmp_path):
    folder, _ = recorded
    nsys = Nsys.find(tmp_path)
    path = folder / "run-pipelined.sqlite"
    report = analyze(path)
    table = report.series[0].table
    steps = {p.name: p for p in nsys.projections(path) if p.name.startswith("Step ")}
    assert len(steps) == 10
    for k, number in enumerate(table.number.tolist()):
        found = steps[f"Step {number}"]
        assert (found.start, found.end) == (int(table.gpu_start[k]), int(table.gpu_end[k]))
    kernels = nsys.report(path, "gpukernsum", "cuda_gpu_kern_sum")
    assert "aten::addmm" in {row["Name"] for row in kernels}
