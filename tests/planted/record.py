"""Record every loop with and without its fault, by both recorders, on a machine with a GPU.

    python record.py FOLDER [--seconds 380] [--dry-run]

Each recording is a process of its own. Five are under way at a time, but one alone uses the GPU.
Fault and clean take turns, all loops once, then again, until the time for starting is up. FOLDER
gets planted.json (every run) and planted-RECORDER-ROUND.tar (every recording, packed); collect.py
makes the corpus from them. --dry-run runs two steps of each on a CPU; an example stands
in for what the shim would have recorded.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

from loops import LOOPS

HERE = Path(__file__).resolve().parent
EXAMPLE = HERE.parents[1] / "traces" / "example-sync.sqlite"
RECORDERS = ("shim", "torch")
AT_A_TIME = 5
LIMIT_S = 90
MOST_ROUNDS = 3


@dataclasses.dataclass(frozen=True)
class Job:
    loop: str
    variant: str
    recorder: str
    round: int

    @property
    def name(self) -> str:
        return f"{self.loop}-{self.variant}-{self.recorder}-{self.round}"


class Recording:
    """All jobs of one call."""

    def __init__(self, seconds: float, dry: bool) -> None:
        self.work = Path(tempfile.mkdtemp(prefix="planted-"))
        self.dry = dry
        self.began = time.monotonic()
        self.until = self.began + seconds
        lock = self.work / "lock"
        lock.touch()
        self.env = os.environ | {
            "PLANTED_LOCK": str(lock),
            "HARNESS_CUPTI_ROAD": "shim",
            "USE_PYTORCH_KERNEL_CACHE": "0",
            "PYTHONUNBUFFERED": "1",
        }

    def jobs(self) -> list[Job]:
        rounds = 1 if self.dry else MOST_ROUNDS
        return [
            Job(loop, variant, recorder, number)
            for number in range(rounds)
            for loop, planted in LOOPS.items()
            for recorder in RECORDERS
            for variant in (planted.variants if number % 2 == 0 else planted.variants[::-1])
        ]

    def suffix(self, job: Job) -> str:
        return ".sqlite" if job.recorder == "shim" else ".json"

    def run(self, job: Job) -> dict[str, Any] | None:
        """One recording; None where it failed or the time was up."""
        late = time.monotonic() >= self.until
        if late and not self.dry:
            return None
        trace = self.work / (job.name + self.suffix(job))
        out = self.work / (job.name + ".out.json")
        program = [
            sys.executable, str(HERE / "run.py"), job.loop, job.variant,
            "--recorder", job.recorder, "--out", str(out), "--trace", str(trace),
        ]  # fmt: skip
        if self.dry:
            program += ["--steps", "2"]
        elif job.recorder == "shim":
            program = [sys.executable, str(HERE / "shim.py"), str(trace), "--", *program]
        started = time.monotonic()
        code, said = run_limited(program, self.env)
        if self.dry and job.recorder == "shim":
            shutil.copy(EXAMPLE, trace)
        if code != 0 or not trace.exists() or not out.exists():
            self.tell(f"{job.name}: FAILED, exit {code}\n{said[-1500:]}")
            return None
        told = dataclasses.asdict(job) | json.loads(out.read_text())
        counted = trace.with_suffix(".completeness.json")
        if counted.exists():
            told["completeness"] = json.loads(counted.read_text())
        bare, recorded = told["bare"]["median_us"], told["recorded"]["median_us"]
        took = time.monotonic() - started
        self.tell(
            f"{job.name}: bare {bare:,.0f} us, recorded {recorded:,.0f} us; took {took:.1f} s"
        )
        return told

    def pack(self, told: dict[str, Any]) -> dict[str, Any] | None:
        job = Job(*(told[field.name] for field in dataclasses.fields(Job)))
        trace = self.work / (job.name + self.suffix(job))
        packed = trace.with_name(trace.name + ".gz")
        code, said = run_limited([sys.executable, str(HERE / "pack.py"), trace, packed], self.env)
        if code != 0:
            self.tell(f"{job.name}: not packed, exit {code}\n{said[-1500:]}")
            return None
        return told | json.loads(said.splitlines()[-1]) | {"file": packed.name}

    def tell(self, text: str) -> None:
        print(f"{time.monotonic() - self.began:6.1f} s  {text}", flush=True)


def run_limited(program: list[Any], env: dict[str, str]) -> tuple[int, str]:
    """Exit code and output; a program that takes too long is ended with all that it started."""
    with subprocess.Popen(
        [str(word) for word in program],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            said, _ = process.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            for sign in (signal.SIGTERM, signal.SIGKILL):
                os.killpg(process.pid, sign)
                try:
                    said, _ = process.communicate(timeout=10)
                    break
                except subprocess.TimeoutExpired:
                    said = ""
            return 124, said + "\n(it took too long)"
        return process.returncode, said


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=380, help="start recordings for so long")
    parser.add_argument("--dry-run", action="store_true")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    if any(options.folder.glob("planted*.tar")):
        parser.error(f"{options.folder} holds recordings already")
    recording = Recording(options.seconds, options.dry_run)
    first = [Job("gpu-bound", "clean", recorder, 0) for recorder in RECORDERS]
    # Alone: the shim is compiled, files are read for the first time, and a fault ends it early.
    done = [recording.run(job) for job in first]
    if None in done:
        return 1
    rest = [job for job in recording.jobs() if job not in first]
    with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
        done += pool.map(recording.run, rest)
    recording.tell("packing")
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        packed = [told for told in pool.map(recording.pack, filter(None, done)) if told]
    for told in packed:
        # A tar a round: none grows beyond what a transfer may take.
        name = f"planted-{told['recorder']}-{told['round']}.tar"
        with tarfile.open(options.folder / name, "a") as tar:
            tar.add(recording.work / told["file"], told["file"])
    summary = {"dry_run": options.dry_run, "runs": packed}
    (options.folder / "planted.json").write_text(json.dumps(summary, indent=1))
    shutil.rmtree(recording.work)
    kinds = {(told["loop"], told["variant"], told["recorder"]) for told in packed}
    wanted = {(job.loop, job.variant, job.recorder) for job in (*first, *rest)}
    recording.tell(f"{len(packed)} recordings of {len(kinds)} kinds")
    for missing in sorted(wanted - kinds):
        print("missing:", *missing)
    return 1 if wanted - kinds else 0


if __name__ == "__main__":
    sys.exit(main())
