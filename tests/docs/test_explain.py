"""`harness explain`: the entry of a code, the list of all, and what is no code."""

from __future__ import annotations

import click
import pytest
from click.shell_completion import ShellComplete
from msgspec.structs import replace

from harness.analysis.idle.causes import Cause, causes, table
from harness.cli import cli
from harness.entries import ROOMS, all_entries


def test_an_error_names_its_code_and_the_code_explains_it(inside, tmp_path) -> None:
    (tmp_path / "a.sqlite").write_text(
        "no trace, but a text that is longer than a header of SQLite"
    )
    failed = inside("gaps", "a.sqlite")
    assert failed.returncode == 1
    assert failed.stderr.endswith(" [not-a-trace]\n")
    done = inside("explain", "not-a-trace")
    assert done.returncode == 0
    assert done.stdout.startswith("not-a-trace (error, exit code 1)\n\nThe file is not a trace.\n")
    assert inside("explain", "[not-a-trace]").stdout == done.stdout


def test_the_list_fits_a_terminal(inside) -> None:
    listed = inside("explain").stdout
    assert max(map(len, listed.splitlines())) <= 80
    assert all(entry.title in " ".join(listed.split()) for entry in all_entries().values())


def test_an_error_of_many_traces_names_its_code_too(inside, tmp_path) -> None:
    for name in ("a.sqlite", "b.sqlite"):
        (tmp_path / name).touch()
    *each, last = inside("gaps", "a.sqlite", "b.sqlite").stderr.splitlines()
    assert [line.rpartition(" ")[2] for line in each] == ["[empty-file]", "[empty-file]"]
    assert last == "harness: error: 0 of 2 traces could be analysed [some-failed]"


def test_a_verdict_is_explained(inside) -> None:
    said = inside("explain", "few-steps").stdout
    assert said.startswith(
        "few-steps (verdict)\n\nThere are fewer than 10 steps in steady state.\n"
    )


@pytest.mark.parametrize("cause", causes(), ids=lambda cause: cause.name)
def test_an_idle_cause_is_explained(inside, cause: Cause) -> None:
    said = " ".join(inside("explain", cause.name).stdout.split())
    assert said.startswith(f"{cause.name} (idle cause) ")
    assert cause.meaning[1:] in said
    assert f"What to do: {cause.remedy}" in said
    assert "(docs/definitions.md#causes)" in said


def test_what_goes_by_one_name_is_all_explained(inside, monkeypatch) -> None:
    cause = replace(table.CAUSES[0], name="few-steps")
    monkeypatch.setattr(table, "CAUSES", (cause,))
    said = inside("explain", "few-steps").stdout
    assert said.startswith("few-steps (verdict)\n\n")
    assert "\n\nfew-steps (idle cause)\n\nThe profiler was flushing" in said


def test_the_default_remedy_is_printed(inside) -> None:
    said = inside("explain", "no-trace-rows").stdout
    assert "What to do: record with `nsys profile --trace=cuda,nvtx` and export again." in said


def test_links_are_spelled_out(inside) -> None:
    assert "(docs/recording.md#names-and-ranks)" in inside("explain", "starts-others").stdout


@pytest.mark.parametrize("code", all_entries())
def test_every_entry_is_printed_in_lines_that_fit(inside, code) -> None:
    done = inside("explain", code)
    assert done.returncode == 0
    assert done.stdout.startswith(f"{code} (")
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_without_a_code_all_are_listed_by_room(inside) -> None:
    said = inside("explain").stdout
    for room in ROOMS:
        assert f"\n{room.title}:\n" in "\n" + said
    assert all(f"\n  {code} " in said for code in all_entries())


def test_an_unknown_code_names_the_nearest(inside) -> None:
    failed = inside("explain", "no-such-stp")
    assert failed.returncode == 2
    assert failed.stderr == (
        "harness: error: no entry is called 'no-such-stp'; did you mean no-such-step? "
        "[unknown-code]\n"
    )
    far = inside("explain", "xyzzy").stderr
    assert far.endswith("; `harness explain` lists them all [unknown-code]\n")


def test_codes_are_completed() -> None:
    shell = ShellComplete(cli, {}, "harness", "_HARNESS_COMPLETE")
    found = [item.value for item in shell.get_completions(["explain"], "no-such-s")]
    assert found == ["no-such-step", "no-such-strategy"]
    assert isinstance(cli.get_command(click.Context(cli), "explain"), click.Command)


def test_other_commands_do_not_load_the_entries(harness) -> None:
    done = harness("gaps", "nowhere.sqlite", PYTHONPROFILEIMPORTTIME="1")
    assert "harness.errors" in done.stderr
    assert "harness.entries" not in done.stderr
