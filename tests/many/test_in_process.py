"""A program that calls `harness.cli.main` finds its threads, signals and streams as they were."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.cli import main
from harness.run import one_trace

from ..conftest import ROOT

TRACE = str(ROOT / "traces" / "example-sync.sqlite")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every trace is kept, however small."""
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    monkeypatch.setattr(one_trace, "SMALL", 0)
    return tmp_path


@pytest.fixture
def busy() -> Iterator[threading.Event]:
    """Set when the threads of the program are to end; by itself after a minute."""
    over = threading.Event()
    clock = threading.Timer(60, over.set)
    clock.start()
    yield over
    clock.cancel()
    over.set()


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> object:
    monkeypatch.setattr(sys, "argv", ["harness", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


def test_only_threads_of_our_own_are_waited_for(
    cache: Path, busy: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(busy.wait)
        theirs = threading.Thread(target=busy.wait)
        theirs.start()
        before = set(threading.enumerate())
        assert run(monkeypatch, "gaps", TRACE) == 0
        assert not busy.is_set()
        assert set(threading.enumerate()) <= before
        busy.set()
    assert len(list(cache.glob("traces/*/answers/*"))) == 1  # what was kept is whole


def test_signals_and_streams_stay(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def state() -> tuple:
        handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
        return handlers, mask, sys.stdin, sys.stdout, sys.stderr

    before = state()
    assert run(monkeypatch, "gaps", TRACE, TRACE, "--jobs", "2") == 0
    assert state() == before
    assert run(monkeypatch, "gaps", "missing.sqlite") == 1
    assert state() == before


PROGRAM = """
import os, sys
from harness.cli import main

def fds():
    return len(os.listdir("/proc/self/fd"))

sys.argv = ["harness", *sys.argv[1:]]
before = sys.stdin, sys.stdout.errors, fds()
try:
    main()
except SystemExit as end:
    assert (sys.stdin, sys.stdout.errors, fds()) == before
    print("ended", end.code, file=sys.stderr, flush=True)
try:
    os.write(1, b"and on")
except BrokenPipeError:
    print("broken as before", file=sys.stderr)
"""


def program(code: str, *words: str, **more: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        stderr=subprocess.PIPE, text=True, timeout=120, check=False, **more,
    )  # fmt: skip


def test_the_streams_of_a_process_stay_open_closed_and_strict() -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", sys.executable, "-c", PROGRAM, "gaps", TRACE],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "ended 0\n")
    assert done.stdout.endswith("and on")


def test_a_reader_that_went_away_has_gone_for_the_program_too() -> None:
    head = subprocess.Popen(["true"], stdin=subprocess.PIPE)
    head.wait()
    done = program(PROGRAM, "gaps", TRACE, stdout=head.stdin)
    assert (done.returncode, done.stderr) == (0, "ended 141\nbroken as before\n")


INTERRUPTED = """
import os, signal, sys, threading, time
from harness.analysis.store import save
from harness.run import one_trace

one_trace.SMALL = 0
save.save_trace = lambda *given: threading.Timer(
    0.5, lambda: (os.kill(os.getpid(), signal.SIGINT), time.sleep(600))
).run()
from harness.cli import main

sys.argv = ["harness", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    print("ended", end.code, file=sys.stderr)
    sys.exit(7)
"""


def test_an_interrupted_command_leaves_the_program_its_end(cache: Path) -> None:
    done = program(INTERRUPTED, "gaps", TRACE, stdout=subprocess.PIPE)
    assert done.stderr.split() == ["harness:", "interrupted", "ended", "130"]
    assert done.returncode == 7
