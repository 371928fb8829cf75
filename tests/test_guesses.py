"""A word that is no command: what was meant is said, and help helps however it is asked for."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from harness import commands
from harness.cli import cli
from harness.errors.options import OptionBeforeCommand, UnknownCommand
from harness.guesses import MEANT, meant_by

COMMANDS = [name.replace("_", "-") for name in commands.MODULES]


def run(*words):
    """How the command line ends."""
    return CliRunner().invoke(cli, words, prog_name="harness")


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("run", "harness profile"),
        ("record", "harness profile"),
        ("gap", "harness gaps"),
        ("Gaps", "harness gaps"),
        ("analyze", "harness gaps"),
        ("analyse", "harness gaps"),
        ("stats", "harness gaps"),
        ("diff", "harness compare"),
        ("view", "harness report"),
        ("ui", "harness open"),
        ("what-if", "harness predict"),
        ("what_if", "harness predict"),
        ("predcit", "harness predict"),
        ("recrod", "harness profile"),
        ("glossary", "harness explain"),
        ("train.py", "harness profile train.py"),
        ("run.sqlite", "harness gaps run.sqlite"),
        ("trace.json.gz", "harness gaps trace.json.gz"),
    ],
)
def test_a_guess_gets_the_command_that_does_it(word, meant):
    found = run(word)
    assert isinstance(found.exception, UnknownCommand)
    assert found.exception.exit_code == 2
    assert found.exception.line == (
        f"there is no command {word!r}; did you mean `{meant}`? [unknown-command]"
    )


def test_the_words_behind_a_file_stay():
    assert meant_by("my train.py", ["--lr", "1"], COMMANDS) == (
        "harness profile 'my train.py' --lr 1"
    )
    assert meant_by("a.sqlite", ["b.sqlite"], COMMANDS) == "harness gaps a.sqlite b.sqlite"


def test_a_folder_is_taken_for_one_of_traces(tmp_path):
    assert meant_by(str(tmp_path), [], COMMANDS) == f"harness gaps {tmp_path}"


def test_what_is_like_nothing_gets_the_list():
    found = run("xyzzy")
    assert found.exception.line == (
        "there is no command 'xyzzy'; harness --help lists the commands [unknown-command]"
    )


def test_every_guess_leads_to_a_command_and_to_one_alone():
    words = [word for texts in MEANT.values() for word in texts.split()]
    assert set(MEANT) <= set(COMMANDS)
    assert len(words) == len(set(words))
    assert not set(words) & set(COMMANDS)


@pytest.mark.parametrize("command", ["gaps", "profile", "compare"])
def test_help_and_a_command_prints_its_help(command):
    asked, helped = run("help", command), run(command, "--help")
    assert asked.exit_code == helped.exit_code == 0
    assert asked.output == helped.output


def test_help_and_version_do_what_their_options_do():
    assert run("help").output == run("help", "help").output == run("--help").output
    assert run("version").output == run("--version").output
    assert run("help", "record").exception.remedy == "did you mean `harness profile`?"


def test_an_option_that_is_none_is_clicks_to_say():
    found = run("--versoin")
    assert found.exit_code == 2
    assert "No such option" in found.output


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("-q", "gaps", "a b.sqlite"), "harness gaps -q 'a b.sqlite'"),
        (("--json", "compare", "a", "b"), "harness compare --json a b"),
    ],
)
def test_an_option_before_its_command_is_told_where_it_goes(words, meant):
    found = run(*words).exception
    assert isinstance(found, OptionBeforeCommand)
    assert f"options follow it: `{meant}`" in found.remedy


def test_an_option_that_nothing_follows_is_no_option():
    found = run("-q")
    assert (found.exit_code, "No such option" in found.output) == (2, True)
