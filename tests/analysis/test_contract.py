"""What every cause, reporter and command owes, walked over the registries; and the documents."""

from __future__ import annotations

import os
import re
import sys
import tomllib
from pathlib import Path

import click
import numpy as np
import pytest

from harness.analysis.idle.causes import GapContext, Phase, causes
from harness.analysis.idle.held import Held
from harness.analysis.model.trace import ThreadRows
from harness.analysis.question import Question
from harness.analysis.reports.base import Report, Terminal, reporters
from harness.analysis.verdicts.codes import CODES
from harness.cli import cli
from harness.commands.gaps import command as gaps

from .build import decode_loop
from .build import report as analysed

ROOT = Path(__file__).parents[2]
DEFINITIONS = (ROOT / "docs" / "definitions.md").read_text()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return Report((analysed(decode_loop(), tmp_path_factory.mktemp("t")),), (), Question())


def modules(folder: str) -> set[str]:
    return {p.stem for p in (ROOT / folder).glob("[!_]*.py")} - {"base", "calls"}


@pytest.mark.parametrize("cause", causes(), ids=lambda cause: cause.name)
def test_a_cause_says_what_it_means_and_gives_what_it_promises(cause, report: Report) -> None:
    trace = report.traces[0].trace
    assert cause.meaning[0].islower()
    assert cause.remedy
    assert not cause.meaning.endswith(".")
    if cause.rows is not None:
        assert cause.phase is Phase.BEFORE
        rows = cause.rows(trace, np.arange(len(trace.calls)))
        assert isinstance(rows, ThreadRows)
        assert len(rows.thread) == len(rows.start) == len(rows.end)
        assert (rows.thread >= 0).all()
    if cause.claims is not None:
        gaps, split = report.traces[0].gaps[0], report.traces[0].attributions[0]
        before = trace.operations.launch[gaps.before]
        claimed = cause.claims(GapContext(trace, gaps.after, split.launch, gaps.before, before))
        assert claimed.shape == (len(gaps),)
        assert claimed.dtype == bool
    if cause.holds is not None:
        assert cause.phase is Phase.AFTER
        assert isinstance(cause.holds(trace, 0, 0), Held)
    assert sum(way is not None for way in (cause.rows, cause.claims, cause.holds)) <= 1


def test_no_two_causes_are_alike() -> None:
    assert len({cause.name for cause in causes()}) == len(causes())
    assert len({(c.phase, c.priority) for c in causes()}) == len(causes())


def test_every_command_registers_itself() -> None:
    context = click.Context(cli)
    names = {name.replace("-", "_") for name in cli.list_commands(context)}
    assert names == modules("harness/commands")


@pytest.mark.parametrize("name", reporters())
def test_a_reporter_gives_text_of_any_report(name: str, report: Report) -> None:
    reporter = reporters()[name]
    assert reporter.name == name
    assert reporter.describes
    assert all(re.fullmatch(r"\.[a-z]+", suffix) for suffix in reporter.suffixes)
    for one in (report, Report((), ())):
        text = reporter.render(one, Terminal())
        assert isinstance(text, str)
        if one.traces:
            assert text.endswith("\n")
            assert "nan" not in re.findall(r"\b[a-z]+\b", text.lower())


def test_no_two_reporters_share_a_suffix() -> None:
    suffixes = [suffix for reporter in reporters().values() for suffix in reporter.suffixes]
    assert len(set(suffixes)) == len(suffixes)


def test_the_formats_offered_are_reporters() -> None:
    option = next(p for p in gaps.params if p.name == "format_name")
    assert isinstance(option.type, click.Choice)
    assert set(option.type.choices) <= set(reporters())


def test_the_views_offered_are_the_tables_views() -> None:
    from harness.analysis.reports.tables import VIEWS

    option = next(p for p in gaps.params if p.name == "by")
    assert isinstance(option.type, click.Choice)
    assert set(option.type.choices) == set(VIEWS)


# The documents


def test_definitions_name_every_cause_in_its_order() -> None:
    section = DEFINITIONS.partition("## Causes")[2].partition("## ")[0]
    listed = re.findall(r"^\|[^|]*\| `([\w-]+)` \|", section, re.MULTILINE)
    assert sorted(listed) == sorted(cause.name for cause in causes())
    before = [name for name in listed if name in {c.name for c in causes() if c.phase == 0}]
    assert before == [c.name for c in causes() if c.phase is Phase.BEFORE]


def test_definitions_name_every_verdict_and_no_other() -> None:
    section = DEFINITIONS.partition("## Verdicts")[2]
    listed = set(re.findall(r"`([a-z]+(?:-[a-z]+)+|manifest)`", section)) - {"harness-gaps"}
    assert listed == set(CODES)


def test_definitions_name_the_other_definitions(tmp_path: Path) -> None:
    rows = analysed(decode_loop(), tmp_path).details(0, Question(definitions=True)).definitions
    names = {d.name for d in rows} - {"harness"}
    section = DEFINITIONS.partition("## Other people")[2].partition("## ")[0]
    assert set(re.findall(r"^\| `([a-z0-9-]+)`", section, re.MULTILINE)) == names


def keys(value: object) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {k for one in value.values() for k in keys(one)}
    return {k for one in value for k in keys(one)} if isinstance(value, list) else set()


def test_the_json_reference_names_every_key(report: Report) -> None:
    from harness.analysis.reports.json import document

    text = (ROOT / "docs" / "json.md").read_text()
    named = set(re.findall(r"[a-z][a-z0-9_]+", text))
    full = document(report)
    free = {"causes", "drained_by", "host_ranges", "handoffs", "other_threads"}

    def without_free(value: object) -> object:
        if isinstance(value, dict):
            return {k: None if k in free else without_free(v) for k, v in value.items()}
        return [without_free(v) for v in value] if isinstance(value, list) else value

    assert keys(without_free(full)) - named == set()


# The house


def shipped() -> list[Path]:
    """Every file below harness/, that of the analysis through its link."""
    return [
        Path(folder, name)
        for folder, _, names in os.walk(ROOT / "harness", followlinks=True)
        for name in names
        if "__pycache__" not in folder
    ]


def test_every_folder_with_code_is_a_package() -> None:
    folders = {path.parent for path in shipped() if path.suffix == ".py"}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").exists()] == []


def test_files_that_are_no_python_are_packaged() -> None:
    globs = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    missing = []
    for path in shipped():
        if path.suffix in (".py", ".so"):
            continue
        owners = [
            pattern
            for package, patterns in globs["package-data"].items()
            if path.is_relative_to(folder := ROOT / package.replace(".", "/"))
            for pattern in patterns
            if path.relative_to(folder).match(pattern)
        ]
        if not owners:
            missing.append(str(path.relative_to(ROOT)))
    assert missing == []


def test_no_file_of_the_analysis_is_long() -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for path in (ROOT / "analysis").rglob("*.py")
        if (count := len(path.read_text().splitlines())) >= 400
    }
    assert long == {}


def test_the_analysis_imports_neither_torch_nor_pandas_at_the_top() -> None:
    forbidden = re.compile(
        r"^\s*(import|from) (torch|transformers|nvtx)\b|^(import|from) pandas\b", re.M
    )
    found = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "analysis").rglob("*.py")
        if forbidden.search(path.read_text())
    ]
    assert found == []


def test_commands_import_nothing_but_click_at_the_top() -> None:
    for path in (ROOT / "harness" / "commands").glob("[!_]*.py"):
        top = re.findall(r"^(?:import|from) (\S+)", path.read_text(), re.MULTILINE)
        local = {name for name in top if name.startswith(".")}
        heavy = {name.partition(".")[0] for name in set(top) - local} - sys.stdlib_module_names
        assert heavy <= {"click"}, path.name
