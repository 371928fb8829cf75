"""Links, offline: files and anchors that are linked exist; addresses are ones that are known."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from ..conftest import ROOT
from .pages import anchors, pages, prose

LINK = re.compile(r"\[[^\]\[]+\]\(([^()\s]+)\)")
SOURCE = re.compile(r'(?:src|srcset)="([^"]+)"')
ADDRESS = re.compile(r"https?://[^\s<>()\"'`\]]+")

HOSTS = {
    "developer.nvidia.com", "distributed.dask.org", "github.com", "keepachangelog.com",
    "semver.org", "ui.perfetto.dev", "www.sqlite.org",
}  # fmt: skip
"""Where the pages may point to. A new one is looked at by a person, then added."""

PATH = re.compile(r"`((?:analysis|harness|scripts|tests|traces|docs|benchmarks|\.ci)/[\w./-]*)`")
MADE = {"traces/", "traces/run-*.sqlite"}
"""Folders that the commands write to."""


def targets(page: Path) -> list[str]:
    text = prose(page.read_text("utf-8"))
    return [*LINK.findall(text), *SOURCE.findall(text)]


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_what_is_linked_is_there(page: Path) -> None:
    broken = []
    for target in targets(page):
        if urlsplit(target).scheme:
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        if not path.exists() or not path.is_relative_to(ROOT):
            broken.append(f"{target}: no such file")
        elif anchor and anchor not in anchors(path.read_text("utf-8")):
            broken.append(f"{target}: no such heading")
    assert not broken


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_files_named_are_there(page: Path) -> None:
    """Paths of this repository in backticks; those with a word in capitals stand for yours."""
    named = PATH.findall(prose(page.read_text("utf-8")))
    missing = [
        name for name in named
        if name not in MADE and not re.search(r"[A-Z]{4}", name) and not (ROOT / name).exists()
    ]  # fmt: skip
    assert not missing


def test_every_page_is_linked_from_the_readme() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    pages_of_docs = {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")}
    assert not pages_of_docs - set(LINK.findall(text))


def test_addresses_are_known_and_well_formed() -> None:
    found = set()
    for page in pages():
        for address in ADDRESS.findall(page.read_text("utf-8")):
            parts = urlsplit(address.rstrip(".,;:"))
            assert parts.scheme == "https", address
            assert "@" not in parts.netloc, address
            found.add(parts.netloc)
    assert found <= HOSTS
    assert found, "the pages point somewhere: were the addresses not found?"


def test_no_package_registry_is_named() -> None:
    """Where packages come from is the user's own setting: no file of ours may override it."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split("\n")
    texts = [
        ROOT / name for name in listed
        if Path(name).suffix in (".md", ".toml", ".txt", ".yml", ".cfg", ".py", ".sh", "")
    ]  # fmt: skip
    if len(texts) < 100:
        pytest.skip("not a git checkout: registries not looked for")
    registry = re.compile(
        r"(?:pypi|pythonhosted|npmjs|crates|anaconda|conda)\.(?:org|io|com)|--index-url"
    )
    named = [
        str(path.relative_to(ROOT)) for path in texts
        if path.is_file() and path != Path(__file__).resolve()
        and registry.search(path.read_text("utf-8", "replace"))
    ]  # fmt: skip
    assert not named


def test_the_checks_would_notice() -> None:
    page = '# A heading, with `code`!\n\n## Same\n\n## Same\n\n[a](b.md#c) <img src="d.png">\n'
    assert anchors(page) == {"a-heading-with-code", "same", "same-1"}
    assert LINK.findall(page) == ["b.md#c"]
    assert SOURCE.findall(page) == ["d.png"]
