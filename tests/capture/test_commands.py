"""What may be typed for a program, and which Python runs it."""

from __future__ import annotations

import os
import sys

import click
import pytest

from harness.capture.commands import as_command, python
from harness.commands._program_line import ProgramLine


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An environment's folder with a Python on PATH, a script, and one that says what runs it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "env" / "bin").mkdir(parents=True)
    (tmp_path / "env" / "bin" / "python").symlink_to(sys.executable)
    (tmp_path / "train.py").write_text("print(1)")
    (tmp_path / "own.py").write_text("#!/usr/bin/env python3\nprint(1)")
    (tmp_path / "own.py").chmod(0o755)
    return tmp_path


def env_of(folder):
    return {"PATH": f"{folder}/env/bin:{os.environ['PATH']}", "VIRTUAL_ENV": f"{folder}/env"}


def test_scripts_and_modules_run_with_the_environments_python(folder):
    env = env_of(folder)
    own = f"{folder}/env/bin/python"
    assert as_command(("train.py", "--n", "3"), env) == (own, "train.py", "--n", "3")
    assert as_command(("-m", "pkg.train", "x"), env) == (own, "-m", "pkg.train", "x")
    assert as_command(("own.py",), env) == (own, "own.py")


@pytest.mark.parametrize(
    "argv",
    [("python", "train.py"), ("./own.py", "x"), ("missing.py",), ("nvidia-smi",), ("-m",)],
)
def test_what_says_itself_how_it_runs_is_left_alone(folder, argv):
    assert as_command(argv, env_of(folder)) == argv


def test_without_an_environment_ours_runs_it_where_it_has_pytorch(folder, monkeypatch):
    env = {**env_of(folder), "VIRTUAL_ENV": ""}
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    assert python(env) == sys.executable
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert python(env) == f"{folder}/env/bin/python"


@pytest.mark.parametrize(
    ("line", "left"),
    [
        (["-m", "pkg", "--name", "x"], ["-m", "pkg", "--name", "x"]),
        (["--flag", "--name", "-m", "-m", "pkg"], ["-m", "pkg"]),
        (["-ofile", "-o", "-m", "--name=-m", "-m", "pkg", "-m"], ["-m", "pkg", "-m"]),
        (["--", "-m", "pkg"], ["-m", "pkg"]),
        (["python", "-m", "pkg"], ["python", "-m", "pkg"]),
        (["train.py", "-m", "3"], ["train.py", "-m", "3"]),
        (["--flag"], []),
    ],
)
def test_m_begins_a_program_where_an_option_may_stand(line, left):
    seen = []

    @click.command(cls=ProgramLine, context_settings={"allow_interspersed_args": False})
    @click.option("--flag", is_flag=True)
    @click.option("--name")
    @click.option("-o", "--output")
    @click.argument("program", nargs=-1, type=click.UNPROCESSED)
    def command(flag, name, output, program):
        seen.extend(program)

    command.main(line, standalone_mode=False)
    assert seen == left
