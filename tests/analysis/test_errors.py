"""Errors: one line for a terminal, and the same in another process."""

from __future__ import annotations

import ast
import pickle
from pathlib import Path

from harness.analysis.idle.errors import NoSuchStep
from harness.analysis.model.errors import TraceError
from harness.analysis.readers.errors import Truncated
from harness.capture.errors import TargetFailed
from harness.capture.nsys.errors import ToolInterrupted
from harness.errors import Repeated


def test_the_line_is_message_remedy_and_code() -> None:
    error = Truncated("a.sqlite is truncated: 12 bytes")
    assert str(error) == "a.sqlite is truncated: 12 bytes; export or copy it again"
    assert error.line == f"{error} [truncated]"


def test_a_remedy_of_the_case_replaces_the_one_of_the_class() -> None:
    error = Truncated("a.sqlite is truncated: 12 bytes", remedy="copy it again")
    assert str(error) == "a.sqlite is truncated: 12 bytes; copy it again"
    assert Truncated.remedy == "export or copy it again"


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert (
        str(NoSuchStep("a\x1b[31m\n.sqlite has no step 3"))
        == "a\ufffd[31m\ufffd.sqlite has no step 3"
    )


def test_errors_travel_between_processes_as_they_are() -> None:
    errors: list[TraceError] = [
        NoSuchStep("t has no step 3"),
        Truncated("t is truncated: 12 bytes", remedy="copy it again"),
        TargetFailed("the target exited with code 3", exit_code=3, remedy="look at it"),
        ToolInterrupted("nsys export was interrupted by SIGINT", "SIGINT"),
        Repeated("t has no step 3", code="no-such-step", exit_code=2),
    ]
    for error in errors:
        there = pickle.loads(pickle.dumps(error))
        assert type(there) is type(error)
        assert (there.line, there.exit_code, vars(there)) == (
            error.line,
            error.exit_code,
            vars(error),
        )


def test_every_error_that_is_raised_has_a_code() -> None:
    bare = {"TraceError", "HarnessError", "UsageError", "CaptureError"}
    root = Path(__file__).parents[2]
    found = [
        f"{path.relative_to(root)}:{node.lineno}"
        for folder in ("analysis", "harness")
        for path in (root / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and isinstance(node.exc.func, ast.Name)
        and node.exc.func.id in bare
    ]
    assert found == []
