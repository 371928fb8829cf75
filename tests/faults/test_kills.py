"""kill -9 of the harness, of nsys and of the target, at ten moments each.

The stand-in for nsys takes its time and writes in pieces; the real one is killed at one moment
each. With HARNESS_FAULTS=full (`make faults`) it is twenty moments, of either.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.report.build import loop

from . import slow_nsys
from .machine import Started, all_gone, contents, start, whole

FULL = os.environ.get("HARNESS_FAULTS") == "full"
MOMENTS = 20 if FULL else 10
TARGET_S = "0.3173"
"""Tells the target from every other sleep."""
VICTIMS = ("harness", "nsys", "target")


def victims(run: Started, victim: str, program: str) -> list[int]:
    """The processes to kill; empty where there is none yet, or any more."""
    if victim == "harness":
        return [run.process.pid] if run.process.poll() is None else []
    if victim == "nsys":
        return run.find(program, " profile ", but=("keeper.py", "-m harness", "--help"))
    return run.find(f"sleep {TARGET_S}", but=("keeper.py", "-m harness", "profile"))


def kill_at(run: Started, victim: str, program: str, after_s: float) -> bool:
    """Wait for the victim, then that long; whether it was there to be killed."""
    while not (pids := victims(run, victim, program)):
        if run.process.poll() is not None:
            return False
        time.sleep(0.01)
    time.sleep(after_s)
    pids = victims(run, victim, program)
    run.kill(pids)
    return bool(pids)


def lifetime_s(folder: Path, arguments: tuple[object, ...], victim: str, program: str) -> float:
    """How long the victim lives in an undisturbed run."""
    run = start(folder, *arguments)
    while not victims(run, victim, program):
        assert run.process.poll() is None, run.words()
        time.sleep(0.005)
    begun = time.monotonic()
    while victims(run, victim, program):
        time.sleep(0.005)
    lived = time.monotonic() - begun
    assert run.wait() == 0, run.words()
    return lived


def check_promise(run: Started, victim: str, folder: Path, before: dict[str, bytes]) -> bool:
    """Nothing damaged, nothing half, nobody left, and what was said is true.

    False where the victim was at its end already, and the recording is whole.
    """
    code = run.wait()
    said = run.words()
    assert all_gone(run.mark) == {}, said
    after = contents(folder)
    assert {name: after.get(name) for name in before} == before
    new = {folder / name for name in after.keys() - before.keys()}
    for path in new:
        assert whole(path) if path.suffix != ".nsys-rep" else path.stat().st_size > 0, path
    if victim == "harness":
        assert code == -9
        return True
    if code == 0:
        assert {path.suffix for path in new} == {".nsys-rep", ".sqlite", ".json"}
        return False
    assert "Traceback" not in "\n".join(said)
    manifests = [path for path in new if path.suffix == ".json"]
    if victim == "nsys":
        assert code == 125, said
        assert " was killed by SIGKILL; its recording is lost" in said[-1]
        assert new == set()
    else:
        assert code == 137, said
        if manifests:
            (manifest,) = (json.loads(path.read_text()) for path in manifests)
            assert manifest["exit_code"] == 137
            assert "  the target exited with code 137" in said
        else:
            assert "the target exited with code 137" in said[-1]
    return True


@pytest.fixture
def stand_in(tmp_path):
    base = loop(tmp_path / "base.sqlite", steps=3)
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    return slow_nsys.install(bin_folder, base)


def recording(program: str, folder: Path, *more: str) -> tuple[object, ...]:
    options = ("--device", "cpu", "--name", "x", "-o", folder, *more)
    return ("profile", "--nsys", program, *options, "--", "sleep", TARGET_S)


def at_moments(tmp_path: Path, program: str, victim: str, moments: int, together: int) -> int:
    """Kill at so many moments; returns how many found their victim."""
    lived = lifetime_s(tmp_path, recording(program, tmp_path / "whole"), victim, program)

    def one(moment: int) -> bool:
        # A machine that was busier when the victim's life was measured lets late moments miss.
        after_s = lived * (moment + 0.5) / moments
        return any(attempt(f"{moment}-{k}", after_s / 2**k) for k in range(3))

    def attempt(name: str, after_s: float) -> bool:
        folder = tmp_path / f"traces-{name}"
        shutil.copytree(tmp_path / "whole", folder)
        (folder / "x.other").write_text("precious")
        before = contents(folder)
        for old in ("x.nsys-rep", "x.sqlite", "x.json"):
            (folder / old).rename(folder / f"precious{old[1:]}")
            before[f"precious{old[1:]}"] = before.pop(old)
        run = start(tmp_path, *recording(program, folder))
        hit = kill_at(run, victim, program, after_s)
        run.wait()
        if hit:
            hit = check_promise(run, victim, folder, before)
        assert all_gone(run.mark) == {}
        return hit

    with ThreadPoolExecutor(together) as pool:
        return sum(pool.map(one, range(moments)))


@pytest.mark.parametrize("victim", VICTIMS)
def test_moments_of_a_slow_one(tmp_path, stand_in, victim):
    hits = at_moments(tmp_path, stand_in, victim, MOMENTS, together=3)
    assert hits >= MOMENTS // 2, f"only {hits} of {MOMENTS} kills found their victim alive"


@pytest.mark.nsys
@pytest.mark.parametrize("victim", VICTIMS)
def test_moments_of_the_real_one(tmp_path, victim):
    nsys = shutil.which("nsys")
    if nsys is None:
        pytest.skip("nsys is not on PATH: kills of the real one not checked (.ci/install-nsys)")
    moments = MOMENTS if FULL else 1
    hits = at_moments(tmp_path, nsys, victim, moments, together=2)
    print(f"{victim}: {hits} of {moments} kills found it alive")
    assert hits >= max(1, moments // 2)
