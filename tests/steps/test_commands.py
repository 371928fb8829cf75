"""What the commands say of the steps that they took, and what they tell to type next."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner, Result

from harness.cli import cli

from .loops import Program
from .test_choice import train


def recorded(folder: Path, name: str = "train_step {k}") -> str:
    folder.mkdir()
    program = Program()
    train(program, 14, name=name)
    return str(program.write(folder))


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, list(words), env={"COLUMNS": "100"})


def test_gaps_says_it_and_every_next_command_carries_it(tmp_path: Path) -> None:
    path = recorded(tmp_path / "a")
    told = " ".join(run("gaps", path).output.split())
    assert (
        "Steps are the ranges 'train_step *' (14), the outermost that repeat; --step 'GLOB' takes "
        "others." in told
    )
    assert f"gaps {path} --step 'train_step *' --by cause" in told
    assert f"gaps {path} --step 'train_step *' --top 5" in told
    again = run("gaps", path, "--step", "train_step *").output
    assert "the outermost that repeat" not in again
    assert "--step 'train_step *' --top 5" in again


def test_of_several_traces_each_is_named_where_they_differ(tmp_path: Path) -> None:
    one, other, third = (
        recorded(tmp_path / "a"),
        recorded(tmp_path / "b", "iteration {k}"),
        recorded(tmp_path / "c", "Step {k}"),
    )
    told = " ".join(run("gaps", one, other, third).output.split())
    assert "trace.sqlite: steps are the ranges 'train_step *' (14)" in told
    assert "trace.sqlite: steps are the ranges 'iteration *' (14)" in told
    assert "'Step" not in told  # the harness's own need no word


def test_json_holds_the_choice(tmp_path: Path) -> None:
    path = recorded(tmp_path / "a")
    (trace,) = json.loads(run("gaps", path, "--format", "json").output)["traces"]
    assert trace["chosen"]["globs"] == ["train_step *"]
    (trace,) = json.loads(run("gaps", path, "--step", "train_step *", "--format", "json").output)[
        "traces"
    ]
    assert trace["chosen"] is None


def test_compare_chooses_for_each_side_and_says_where_they_differ(tmp_path: Path) -> None:
    one, other = recorded(tmp_path / "a"), recorded(tmp_path / "b", "iteration {k}")
    found = json.loads(run("compare", one, other, "--format", "json").output)
    assert {"key": "steps", "before": "train_step *", "after": "iteration *"}.items() <= (
        next(d for d in found["differences"] if d["key"] == "steps").items()
    )
    assert {ratio["metric"] for ratio in found["ratios"]} >= {"step", "idle"}
    same = json.loads(run("compare", one, one, "--format", "json").output)
    assert not [d for d in same["differences"] if d["key"] == "steps"]


def test_predict_chooses_and_says_it(tmp_path: Path) -> None:
    path = recorded(tmp_path / "a")
    found = run("predict", "--from", path)
    assert found.exit_code == 0, found.output
    told = " ".join(found.output.split())
    assert "Steps are the ranges 'train_step *' (14)" in told


def test_show_and_export_choose_too(tmp_path: Path) -> None:
    path = recorded(tmp_path / "a")
    assert run("show", path, "--step", "7").exit_code == 0
    steps = run("export", path, "--to", "csv", "--rows", "steps").output
    assert len(steps.strip().splitlines()) == 15
