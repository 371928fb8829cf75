"""Every command that takes a file, given each kind of bad one: a line, exit 1, nothing written."""

from __future__ import annotations

import gzip
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import cache
from pathlib import Path

import click
import pytest

from harness.cli import cli
from harness.exits import exit_code_of
from tests.bench.sessions import write as write_session

from . import bases, bombs


def _sqlite(*statements: str) -> bytes:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(bases.sqlite_base("loop"))
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        return connection.serialize()


@cache
def bad() -> dict[str, bytes]:
    """File name to content; no reader can make anything of any of them."""
    loop, trace = bases.sqlite_base("loop"), bases.json_base("kineto_2_13")
    text = "CUPTI_ACTIVITY_KIND_KERNEL"
    return {
        "empty.sqlite": b"",
        "words.sqlite": b"no trace at all\n" * 50,
        "cut.sqlite": loop[: len(loop) // 2],
        "cut-at-a-page.sqlite": loop[: 20 * bases.PAGE],
        "zeros.sqlite": bytes(8192),
        "noise.sqlite": loop[:100] + bytes(range(256)) * 100,
        "other.sqlite": _other_database(),
        "no-column.sqlite": _sqlite(f"ALTER TABLE {text} DROP COLUMN correlationId"),
        "words-for-times.sqlite": _sqlite(f"UPDATE {text} SET start = 'soon'"),
        "shared-pages.sqlite": bombs.shared_pages(),
        "cut.json": trace[: len(trace) // 2],
        "words.json": b'{"traceEvents": [{"ph": ',
        "no-events.json": b'{"schemaVersion": 1}',
        "a-list.json": b"[1, 2, 3]",
        "deep.json": b"[" * 300_000,
        "cut.json.gz": gzip.compress(trace)[:-300],
        "noise.json.gz": gzip.compress(trace)[:40] + bytes(range(256)) * 9,
        "not-utf8.json": b'{"traceEvents": [{"name": "\xff\xfe"',
    }


SOUND = {"other.sqlite", "no-column.sqlite", "words-for-times.sqlite"}
"""Databases in order, whatever they hold: enough for a copy, though for no figure."""


def _other_database() -> bytes:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE recipes(name TEXT)")
        connection.commit()
        return connection.serialize()


COMMANDS: dict[str, tuple[str, ...]] = {
    "gaps": ("gaps", "BAD"),
    "gaps to a file": ("gaps", "BAD", "-o", "out.json"),
    "gaps of inferred steps": ("gaps", "BAD", "--infer-steps"),
    "report": ("report", "BAD", "-o", "out.html"),
    "show": ("show", "BAD"),
    "show to a file": ("show", "BAD", "-o", "out.svg"),
    "export": ("export", "BAD", "-o", "out.csv"),
    "export to Perfetto": ("export", "BAD", "-o", "out.json.gz", "--to", "perfetto"),
    "scrub": ("scrub", "BAD", "-o", "out.sqlite"),
    "compare": ("compare", "BAD", "GOOD"),
    "compare the other way": ("compare", "GOOD", "BAD", "-o", "out.json"),
    "results": ("results", "BAD"),
    "results of a session": ("results", "BAD", "--session", "last"),
    "predict": ("predict", "--from", "BAD", "-o", "out.json"),
    "predict for a GPU of one's own": ("predict", "--gpu", "BAD.toml"),
    "calibrate": ("calibrate", "BAD", "-o", "out.toml"),
    "open": ("open", "BAD"),
}


def arguments(name: str, command: str) -> list[str]:
    """The command line for one bad file; GPU data files end in .toml."""
    words = {"BAD": name, "GOOD": "good.sqlite", "BAD.toml": f"./{name}.toml"}
    if command == "scrub" and ".json" in name:  # a copy is a file of the same kind
        words["out.sqlite"] = "out.json"
    return [words.get(word, word) for word in COMMANDS[command]]


def lay_out(folder: Path, name: str) -> list[str]:
    """The bad file under both its names, and a good one; what is in the folder then."""
    (folder / name).write_bytes(bad()[name])
    (folder / f"{name}.toml").write_bytes(bad()[name])
    (folder / "good.sqlite").write_bytes(bases.sqlite_base("loop"))
    return contents(folder)


def contents(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def refused(stderr: str, code: int, what: object) -> None:
    """Exit 1 and one line."""
    lines = stderr.strip().splitlines()
    assert code == 1, (what, code, stderr)
    assert len(lines) == 1, (what, stderr)
    assert all(line.startswith("harness: error: ") for line in lines), (what, stderr)
    assert "Traceback" not in stderr
    assert "internal error" not in stderr, (what, stderr)
    assert all(c.isprintable() for line in lines for c in line), (what, stderr)


@pytest.fixture
def inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[list[str]], tuple[int, str]]:
    """Run a command line in this process: a process for each pair would take minutes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HARNESS_DEBUG", raising=False)

    def run(words: list[str]) -> tuple[int, str]:
        capsys.readouterr()
        code = exit_code_of(lambda: cli.main(words, prog_name="harness", standalone_mode=False))
        return code, capsys.readouterr().err

    return run


@pytest.mark.parametrize("command", COMMANDS)
def test_every_bad_file(tmp_path: Path, inside, command: str) -> None:
    for name in bad():
        if command == "scrub" and name in SOUND:
            continue
        before = lay_out(tmp_path, name)
        code, stderr = inside(arguments(name, command))
        refused(stderr, code, (name, command))
        assert contents(tmp_path) == before, (name, command)
        for path in tmp_path.iterdir():
            path.unlink()


@pytest.mark.parametrize("command", COMMANDS)
def test_the_same_by_a_process_of_its_own(harness, tmp_path: Path, command: str) -> None:
    name = ("cut.sqlite", "noise.json.gz")[len(command) % 2]
    before = lay_out(tmp_path, name)
    run = harness(*arguments(name, command))
    refused(run.stderr, run.returncode, (name, command))
    assert run.stdout == ""
    assert contents(tmp_path) == before


def test_no_command_that_takes_a_file_is_left_out() -> None:
    takes = set()
    with click.Context(cli) as context:
        for name in cli.list_commands(context):
            command = cli.get_command(context, name)
            assert command is not None
            if any(isinstance(p, click.Argument) for p in command.params) or name == "predict":
                takes.add(name)
    # `bench` and `profile` take a program to run, `cache`, `explain` and `strategies` a word.
    assert takes - {"bench", "profile", "cache", "explain", "strategies"} <= {
        words[0] for words in COMMANDS.values()
    }


COLUMNS = ("strategy", "steps_ns", "device", "protocol", "warmup_ns", "wall_ns", "versions", "host")


@pytest.mark.parametrize("value", ["NULL", "'{'", "'[1, null]'", "x'00ff'", "-9223372036854775808"])
def test_results_with_a_column_of_something_else(tmp_path: Path, inside, value: str) -> None:
    """Either a line that says so, or figures: never a traceback."""
    for column in COLUMNS:
        path = tmp_path / "results.db"
        path.unlink(missing_ok=True)
        write_session(path, {"kv-cache": [10.0, 11.0, 12.0], "pipelined": [20.0, 21.0, 22.0]})
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("PRAGMA writable_schema = ON")
            connection.execute("UPDATE sqlite_master SET sql = replace(sql, 'NOT NULL', '')")
        with closing(sqlite3.connect(path)) as connection, connection:
            tables = [r[0] for r in connection.execute("SELECT name FROM sqlite_master")]
            for table in tables:
                names = [r[1] for r in connection.execute(f'PRAGMA table_info("{table}")')]
                if column in names:
                    connection.execute(f'UPDATE "{table}" SET "{column}" = {value}')
        for words in (["results", "results.db"], ["results", "results.db", "--session", "last"],
                      ["compare", "results.db", "results.db"]):  # fmt: skip
            code, stderr = inside(words)
            assert "internal error" not in stderr, (column, words, stderr)
            assert code in (0, 1), (column, words, stderr)
