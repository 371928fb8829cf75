"""Shared by all tests: where the real traces are, and how a command is run as a user would."""

from __future__ import annotations

import gzip
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "tests" / "data"


MAY_SKIP = re.compile(r"\bGPU\b|\broot\b")
"""What a machine of CI may lack; all else is installed by .ci/run, so a skip is a fault there."""


def _no_skip_in_ci(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not report.skipped or os.environ.get("CI") != "true" or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if not MAY_SKIP.search(reason):
        report.outcome = "failed"
        report.longrepr = f"skipped where CI=true: {reason}"


def pytest_configure() -> None:
    """A job in the background of a shell ignores Ctrl-C, and so would all that tests start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _no_skip_in_ci(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _no_skip_in_ci(report)
    return report


@pytest.fixture(scope="session")
def public_traces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of real exports by other people's programs, as `NAME.sqlite`."""
    folder = tmp_path_factory.mktemp("public_traces")
    for packed in sorted(DATA.glob("*.sqlite.gz")):
        (folder / packed.stem).write_bytes(gzip.decompress(packed.read_bytes()))
    return folder


@pytest.fixture
def public_trace(request: pytest.FixtureRequest, public_traces: Path) -> Path:
    """One of them, by name: parametrize with `indirect`."""
    return public_traces / f"{request.param}.sqlite"


@pytest.fixture
def harness(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `harness ARGS` as a process of its own, in an empty folder."""

    def run(*args: object, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
        clean = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR")}
        return subprocess.run(
            [sys.executable, "-m", "harness", *map(str, args)],
            cwd=cwd or tmp_path,
            env=clean | env,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


@pytest.fixture
def inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The same in this process, in the same folder: for many commands, where only words matter."""
    from harness.cli import cli
    from harness.exits import exit_code_of

    monkeypatch.chdir(tmp_path)
    for name in ("COLUMNS", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)

    def run(*args: object, **env: str) -> subprocess.CompletedProcess[str]:
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        words = [str(word) for word in args]
        capsys.readouterr()
        code = exit_code_of(lambda: cli.main(words, prog_name="harness", standalone_mode=False))
        said = capsys.readouterr()
        return subprocess.CompletedProcess(words, code, said.out, said.err)

    return run
