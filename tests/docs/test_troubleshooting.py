"""docs/troubleshooting.md is what the errors, verdicts and remarks say of themselves."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from harness.analysis.model.errors import TraceError
from harness.analysis.model.remark import Remark
from harness.entries import KINDS, ROOMS, all_entries

from ..conftest import ROOT
from .pages import text

SCRIPT = ROOT / "scripts" / "troubleshooting.py"
FAMILIES = {"TraceError", "HarnessError", "UsageError", "CaptureError", "Remark", "Warned"}


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("troubleshooting", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SCRIPT.parent)  # as when it is run
        spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_entries_say() -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_error_and_remark_that_is_made_has_a_code(script) -> None:
    made = {script.name_of(call) for call in script.calls()}
    assert not made & FAMILIES
    codes = {kind.__name__: kind.code for kind in script.kinds(TraceError, Remark)}
    assert len(made & codes.keys()) > 150
    coded = {name for name, code in codes.items() if code}
    refused = {code for code in script.messages() if code}
    assert not [name for name in coded - made if codes[name] not in refused], "made nowhere"


def test_codes_are_unique_and_speak() -> None:
    codes = Counter(entry.code for room in ROOMS for entry in room.entries())
    assert not [code for code, count in codes.items() if count > 1]
    for entry in all_entries().values():
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", entry.code)
        assert entry.kind in KINDS
        assert entry.title.endswith("."), entry.code
        assert not (entry.remedy or "").endswith("."), entry.code


def test_every_room_with_errors_or_remarks_is_a_section() -> None:
    listed = {module for room in ROOMS for module in room.modules}
    for path in [*ROOT.glob("analysis/**/*.py"), *ROOT.glob("harness/**/*.py")]:
        tree = ast.parse(path.read_text("utf-8"))
        if any(_has_code(node) for node in tree.body):
            assert _module(path) in listed, path


def _has_code(node: ast.stmt) -> bool:
    """Is it a class with a code of its own that is not empty?"""
    return isinstance(node, ast.ClassDef) and any(
        isinstance(line, ast.Assign)
        and ast.unparse(line.targets[0]) == "code"
        and isinstance(line.value, ast.Constant)
        and bool(line.value.value)
        for line in node.body
    )


def _module(path: Path) -> str:
    """Its name below `harness`."""
    name = str(path.relative_to(ROOT).with_suffix("")).removeprefix("harness/")
    return name.removesuffix("/__init__").replace("/", ".")


def test_messages_of_all_forms_are_found(script) -> None:
    """Were the script blind, its page would lack what a reader searches for."""
    said = script.messages()
    assert "… is truncated: … of … bytes" in said["truncated"]  # an f-string
    assert "nothing to measure" in said["nothing-to-do"]  # a constant
    assert "no export ends with …" in said["unknown-ending"]  # one of two
    assert "… has no step to show…" in said["no-steps"]  # a sum
    assert "the capture range begins inside a CUDA graph capture" in said["in-graph-capture"]
    assert "two libcupti are loaded: …" in said["libcupti-unusable"]  # told by the target
    assert "the nvtx package is not installed" in said["ranges-not-recorded"]  # a remark


def test_the_page_has_a_heading_for_every_code() -> None:
    headings = re.findall(r"^### (.+)$", text("docs/troubleshooting.md"), re.MULTILINE)
    assert sorted(headings) == sorted(all_entries())
