"""Constants fitted to a trace: those that made it come out again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="simulating needs torch (pip install '.[strategies]')")

from click.testing import CliRunner

from harness.analysis.gains.gpu import built_in, load_gpu, read_gpu
from harness.commands.calibrate import command
from harness.simgpu.gpu_writer import to_toml

from .conftest import changed

DATA = Path(__file__).parent / "data"
TRUE = {
    "device_latency_ns": 8_000, "device_wake_ns": 5_000, "host_op_ns": 21_900,
    "host_view_op_ns": 19_000, "host_launch_call_ns": 5_500, "host_copy_call_ns": 6_500,
}  # fmt: skip


def run(*arguments: str):
    return CliRunner().invoke(command, list(arguments))


@pytest.fixture(scope="module")
def other_machine(tmp_path_factory):
    """A trace of kv-cache on a machine whose constants differ from every file's."""
    from harness.decode.workload import Workload
    from harness.simgpu.run import simulate

    workload = Workload(
        strategy="kv-cache", model="tiny", device="cpu", batch_size=2, max_new_tokens=16,
        steps=(3, 13), eos_id=-1,
    )  # fmt: skip
    done = simulate(workload, changed(load_gpu("h100"), **TRUE))
    path = tmp_path_factory.mktemp("machine") / "other.sqlite"
    done.write(path)
    manifest = {
        "manifest_version": 1, "origin": "simulated", "capture": {"backend": "sim"},
        "strategy": "kv-cache", "workload": {**workload.to_dict()}, "exit_code": 0,
    }  # fmt: skip
    path.with_suffix(".json").write_text(json.dumps(manifest))
    return path


def test_the_constants_that_made_a_trace_come_out(other_machine, tmp_path):
    output = tmp_path / "mine.toml"
    result = run(str(other_machine), "--gpu", "h100", "-o", str(output), "--format", "json")
    assert result.exit_code == 0, result.output
    mine = read_gpu(output)
    for name, value in TRUE.items():
        section, _, key = name.partition("_")
        assert mine.ns(section, key) == pytest.approx(value, rel=0.02), name
    # What a trace cannot show is kept.
    assert mine.ns("host", "graph_node_ns") == load_gpu("h100").ns("host", "graph_node_ns")
    assert mine.nominal_bandwidth == load_gpu("h100").nominal_bandwidth
    assert "median of" in mine.sources["host", "launch_call_ns"]


def test_the_fit_is_stated(other_machine):
    text = run(str(other_machine), "--gpu", "h100", "--format", "json").output
    data = json.loads(text[text.index("{") : text.rindex("}") + 1])
    fit = {row["what"]: row for row in data["fit"]}
    assert abs(fit["replayed"]["error_share"]) < 0.001
    assert abs(fit["simulated"]["error_share"]) < 0.01
    constants = {row["constant"]: row for row in data["constants"]}
    assert constants["host.op_ns"]["samples"] == 8
    assert constants["host.launch_call_ns"]["file_value"] == 3_470


def test_a_recording_of_a_real_h100():
    path = DATA / "h100-static-cache-b16.json.gz"
    result = run(str(path), "--strategy", "static-cache", "--format", "json")
    assert result.exit_code == 0, result.output
    fit = {row["what"]: row for row in json.loads(result.output)["fit"]}
    assert abs(fit["replayed"]["error_share"]) < 0.01
    # From its shapes alone, the step of a machine whose host constants were fitted to it.
    assert abs(fit["simulated"]["error_share"]) < 0.15


def test_without_a_workload_the_host_cost_of_an_operation_is_kept():
    result = run(str(DATA / "h100-static-cache-b16.json.gz"))
    assert result.exit_code == 0, result.output
    assert "op_ns is kept" in result.output
    assert "host.op_ns" not in result.output
    assert max(map(len, result.output.splitlines())) <= 80


@pytest.mark.parametrize("name", built_in())
def test_a_written_file_is_read_back_the_same(tmp_path, name):
    gpu = load_gpu(name)
    path = tmp_path / "copy.toml"
    path.write_text(to_toml(gpu))
    copy = read_gpu(path)
    assert dict(copy.values) == dict(gpu.values)
    assert dict(copy.sources) == dict(gpu.sources)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("traces/example-sync.sqlite",), "which no GPU file describes"),
        (("traces/example-sync.sqlite", "-o", "x.json"), "does not end with .toml"),
        (("nothing.sqlite",), "No such file"),
    ],
)
def test_errors(monkeypatch, arguments, says):
    monkeypatch.chdir(Path(__file__).parents[2])
    error = run(*arguments).exception
    assert says in str(error)
    assert "\n" not in str(error)


def test_an_existing_file_is_kept(other_machine, tmp_path):
    output = tmp_path / "mine.toml"
    output.write_text("mine")
    result = run(str(other_machine), "--gpu", "h100", "-o", str(output))
    assert "add --force" in str(result.exception)
    assert output.read_text() == "mine"


def test_a_name_is_written_as_it_can_be_read_back(other_machine, tmp_path):
    output = tmp_path / "mine.toml"
    result = run(str(other_machine), "--gpu", "h100", "--name", "a\nb", "-o", str(output))
    assert result.exit_code == 0, result.output
    assert read_gpu(output).name == "a\N{REPLACEMENT CHARACTER}b"


@pytest.mark.parametrize(
    ("steps", "says"),
    [("none", "no steps with GPU work"), ("3:5", "too few steps for a steady state")],
)
def test_a_window_without_steady_steps_is_the_simulations(other_machine, steps, says):
    asked = ("--strategy", "kv-cache", "--model", "tiny", "--max-new-tokens", "8")
    result = run(str(other_machine), "--gpu", "h100", *asked, "--steps", steps)
    assert str(result.exception).startswith(f"the simulation has {says}")


@pytest.mark.parametrize(
    "told", [{"force_eos_at": 5}, {"steps": [1, 2, 3]}, {"dtype": "float33"}, {"lag": "1"}]
)
def test_a_manifest_with_another_kind_of_value_tells_no_workload(other_machine, tmp_path, told):
    trace = tmp_path / "odd.sqlite"
    shutil.copy(other_machine, trace)
    manifest = json.loads(other_machine.with_suffix(".json").read_text())
    manifest["workload"] |= told
    trace.with_suffix(".json").write_text(json.dumps(manifest))
    result = run(str(trace), "--gpu", "h100", "--format", "json")
    assert result.exit_code == 0, result.output
    assert "op_ns is kept" in result.output
