"""`harness predict --gpu ...`: the table over GPUs, batch sizes and strategies."""

from __future__ import annotations

import json
import os

import pytest

torch = pytest.importorskip("torch", reason="simulating needs torch (pip install '.[strategies]')")

from click.testing import CliRunner  # noqa: E402

from harness.commands.predict import command  # noqa: E402
from harness.simgpu.costs import KERNEL, Op  # noqa: E402
from harness.simgpu.family import Family  # noqa: E402
from harness.simgpu.forward import ShapeForward, build_meta  # noqa: E402

SMALL = ("--model", "tiny", "--max-new-tokens", "12", "--prompt-length", "4")


def run(*arguments: str):
    return CliRunner().invoke(command, list(arguments))


def test_every_combination_in_order():
    result = run(
        "--gpu", "l40s,h100", "--batch-size", "1,8", "--strategy",
        "kv-cache,deferred,cuda-graph-deferred", *SMALL, "--format", "json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    data = json.loads(result.output)
    assert data["origin"] == "simulated"
    rows = data["predictions"]
    assert [(r["gpu"], r["batch_size"], r["strategy"]) for r in rows[:4]] == [
        ("l40s", 1, "kv-cache"),
        ("l40s", 1, "deferred"),
        ("l40s", 1, "cuda-graph-deferred"),
        ("l40s", 8, "kv-cache"),
    ]
    assert len(rows) == 12
    for row in rows:
        assert (row["saved_share"] is None) == (row["strategy"] == "kv-cache")
        assert row["floor_ratio"] == pytest.approx(row["step_ns"] / row["floor_ns"], rel=1e-4)
        assert row["floor_ratio"] > 1
    graph = [r for r in rows if r["strategy"] == "cuda-graph-deferred"]
    assert all(r["saved_share"] > 0.5 for r in graph)


def test_the_table_fits_80_columns_and_shows_the_gap():
    result = run("--gpu", "l40s", "--batch-size", "64", "--strategy", "kv-cache", *SMALL)
    assert max(map(len, result.output.splitlines())) <= 80
    assert "Predicted (simulated): tiny" in result.output
    assert "gap µs" in result.output
    assert "limiter" in result.output


def test_races_are_warned_of(tmp_path):
    from harness.analysis.gains.gpu import built_in

    slow = tmp_path / "slow.toml"
    text = built_in()["h100"].read_text()
    slow.write_text(text.replace("elementwise_ns = { value = 1_100", "elementwise_ns = { value = 99_000"))  # fmt: skip # noqa: E501
    result = run(
        "--gpu", str(slow), "--batch-size", "2", "--strategy", "pipelined-published", *SMALL
    )
    assert result.exit_code == 0
    assert "host-device races" in result.output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "nothing to predict"),
        (("--gpu", " ,"), "nothing to predict"),
        (("--gpu", "b300"), "no GPU is called"),
        (("--gpu", "h100", "--strategy", "magic"), "no strategy is called"),
        (("--gpu", "h100", "--batch-size", "1,x"), "--batch-size is"),
        (("--gpu", "h100", "--steps", "1:2"), "--steps needs --from"),
        (("--from", "x.sqlite", "--batch-size", "4"), "--batch-size does not go with --from"),
        (("--gpu", "h100", "--max-new-tokens", "2000"), "the model has 1024 positions"),
    ],
)
def test_errors(arguments, says):
    error = run(*arguments).exception
    assert says in str(error)
    assert "\n" not in str(error)
    assert error.exit_code == 2


@pytest.mark.parametrize("cached", [True, False])
def test_what_is_inferred_from_four_passes_is_what_a_pass_shows(cached):
    from transformers import DynamicCache

    from harness.decode.workload import Workload

    workload = Workload(model="tiny", batch_size=3)
    forward = ShapeForward(build_meta(workload), eos_id=-1)

    def passes(operations):
        cache = DynamicCache(config=forward.model.config) if cached else None
        given = {"past_key_values": cache, "use_cache": cached}
        with torch.inference_mode():
            prompt = torch.zeros(3, 5, dtype=torch.long)
            forward.operations(prompt, given)
            return [
                operations(torch.zeros(3, 1 if cached else 6 + k, dtype=torch.long), given)
                for k in range(30)
            ]

    shown = passes(forward._record)
    before = forward.forwards
    inferred = passes(forward.operations)
    assert inferred == shown
    assert forward.forwards - before <= 6


def test_a_family_that_does_not_follow_a_polynomial_is_not_inferred():
    def ops(length: int) -> tuple[Op, ...]:
        padded = -(-length // 8) * 8  # as a kernel that pads to a multiple of eight
        return (Op("aten::mm", KERNEL, reads=((0, padded),)),)

    family = Family()
    for length in (6, 7, 8, 9):
        family.add(length, ops(length))
    assert family.at(9) == ops(9)
    assert family.at(20) is None


def test_savings_are_against_the_same_file_though_two_have_one_name(tmp_path):
    from harness.analysis.gains.gpu import built_in

    mine = tmp_path / "h100.toml"
    text = built_in()["h100"].read_text()
    mine.write_text(text.replace("op_ns = { value = 12_310", "op_ns = { value = 40_000"))
    result = run(
        "--gpu", f"h100,{mine}", "--batch-size", "1", "--strategy", "kv-cache,cuda-graph", *SMALL,
        "--format", "json",
    )  # fmt: skip
    for base, graph in zip(*[iter(json.loads(result.output)["predictions"])] * 2, strict=True):
        assert graph["saved_share"] == round(1 - graph["step_ns"] / base["step_ns"], 6)


def test_gpu_0_is_a_gpu_too():
    assert "--device needs --from" in str(run("--gpu", "h100", "--device", "0").exception)


def test_a_gpu_file_may_come_through_a_pipe():
    from harness.analysis.gains.gpu import built_in

    text = built_in()["h100"].read_bytes()
    read, write = os.pipe()
    os.write(write, text)
    os.close(write)
    try:
        result = run(
            "--gpu", f"/dev/fd/{read}", "--batch-size", "1", "--strategy", "kv-cache", *SMALL
        )
    finally:
        os.close(read)
    assert result.exit_code == 0, result.output
