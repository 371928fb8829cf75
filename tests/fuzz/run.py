"""Run mutants for as long as you like, on several processes, and say what broke.

python -m tests.fuzz.run --mutants 100000 --jobs 2     # or: make fuzz
python -m tests.fuzz.run --replay 4711                 # one mutant again, with its traceback
"""

from __future__ import annotations

import argparse
import faulthandler
import multiprocessing
import os
import queue
import re
import resource
import sys
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .lines import Lines
from .oracle import Broken
from .seeds import mutant
from .targets import TARGETS

STUCK_S = 90
"""Wall time after which a worker ends itself: something is stuck where no signal reaches it."""
MEMORY_BYTES = 8 << 30


@dataclass
class Tally:
    """What one worker has seen since it last told."""

    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """(target, mutator, outcome) to mutants."""
    findings: dict[str, tuple[int, int, str]] = field(default_factory=dict)
    """What broke, to how often, the first seed, and how to see it."""
    lines: dict[str, set[int]] = field(default_factory=dict)

    def add(self, other: Tally) -> list[str]:
        """Take in another one; what is new among its findings."""
        self.counts += other.counts
        for name, lines in other.lines.items():
            self.lines.setdefault(name, set()).update(lines)
        new = [key for key in other.findings if key not in self.findings]
        for key, (count, seed, text) in other.findings.items():
            before, first, told = self.findings.get(key, (0, seed, text))
            self.findings[key] = before + count, first, told
        return new


def signature(error: BaseException) -> str:
    """One name for the same defect, whatever the mutant: type, place and words without numbers."""
    words = re.sub(r"\d+", "*", str(error).splitlines()[0] if str(error) else "")[:80]
    if isinstance(error, Broken):
        return f"Broken: {words}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "/analysis/" in f.filename or "/harness/" in f.filename] or frames
    return f"{type(error).__name__} at {Path(own[-1].filename).name}:{own[-1].lineno}: {words}"


def work(
    number: int, jobs: int, first: int, stop: int, only: str | None, out: Path, told: Any, now: Any
) -> None:
    """Every `jobs`-th seed of a stretch, from `first + number` on."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    lines = Lines()
    tally, last = Tally(), time.monotonic()
    for seed in range(first + number, stop, jobs):
        now[number] = seed
        faulthandler.dump_traceback_later(STUCK_S, exit=True)
        one = None
        try:
            one = mutant(seed, only)
            with lines.of(seed):
                kind = one.run().kind
        except Exception as error:
            kind = "broken"
            key = signature(error)
            count, before, text = tally.findings.get(key, (0, seed, traceback.format_exc()))
            tally.findings[key] = count + 1, before, text
            if one is not None and count == 0:
                (out / f"seed-{seed}{one.target.suffix}").write_bytes(one.data)
        if one is not None:
            tally.counts[one.target.name, one.mutator, kind] += 1
        if time.monotonic() - last > 2:
            tally.lines = lines.taken()
            told.put(tally)
            tally, last = Tally(), time.monotonic()
    faulthandler.cancel_dump_traceback_later()
    tally.lines = lines.taken()
    told.put(tally)
    now[number] = -1


def main() -> int:
    """Exit code 1 where anything broke."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--mutants", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--target", choices=sorted(TARGETS))
    parser.add_argument("--out", type=Path, default=Path("fuzz-out"), help="folder of what broke")
    parser.add_argument("--replay", type=int, metavar="SEED")
    asked = parser.parse_args()
    if asked.replay is not None:
        return replay(asked.replay, asked.target)
    asked.out.mkdir(parents=True, exist_ok=True)
    return _run(asked)


def replay(seed: int, only: str | None) -> int:
    """One mutant again, in this process, with whatever it raises."""
    one = mutant(seed, only)
    path = Path(f"seed-{seed}{one.target.suffix}")
    path.write_bytes(one.data)
    print(f"{one.target.name}, {one.mutator}, {len(one.data)} bytes, written to {path}", flush=True)
    print(one.run())
    return 0


def _run(asked: argparse.Namespace) -> int:
    stop, jobs = asked.first + asked.mutants, asked.jobs
    told: Any = multiprocessing.Queue()
    now = multiprocessing.Array("q", jobs)

    def start(number: int, first: int) -> multiprocessing.Process:
        args = (number, jobs, first, stop, asked.target, asked.out, told, now)
        process = multiprocessing.Process(target=work, args=args, daemon=True)
        process.start()
        return process

    workers = [start(number, asked.first) for number in range(jobs)]
    total, began, shown = Tally(), time.monotonic(), 0.0
    while any(worker.is_alive() for worker in workers) or not told.empty():
        try:
            tally = told.get(timeout=1)
        except queue.Empty:
            tally = Tally()
        for key in total.add(tally):
            print(f"seed {total.findings[key][1]}: {key}", flush=True)
        for number, worker in enumerate(workers):
            if not worker.is_alive() and now[number] >= 0 and worker.exitcode:
                seed = now[number]
                key = f"the process died (exit code {worker.exitcode}) at seed {seed}"
                total.add(Tally(findings={key: (1, seed, "")}))
                print(key, flush=True)
                workers[number] = start(number, seed + jobs - number)
        spent = time.monotonic() - began
        if spent - shown > 10:
            shown = spent
            done = sum(total.counts.values())
            print(
                f"{done} mutants, {done / spent:.0f}/s, {len(total.findings)} findings", flush=True
            )
        if spent > asked.seconds:
            for worker in workers:
                worker.terminate()
            break
    report(total, time.monotonic() - began)
    return 1 if total.findings else 0


def report(total: Tally, spent: float) -> None:
    """Counts by reader and mutator, lines reached, and every finding with its first traceback."""
    kinds = ("refused", "same", "verdict", "changed", "broken")
    done = sum(total.counts.values())
    print(f"\n{done} mutants in {spent:.0f} s, {done / spent:.1f}/s\n")
    print("| reader | mutator | mutants | " + " | ".join(kinds) + " |")
    print("|---|---|" + "---:|" * (len(kinds) + 1))
    for name in TARGETS:
        for mutator in ("", *TARGETS[name].mutators):
            row = [
                sum(
                    n for (t, m, k), n in total.counts.items()
                    if t == name and k == kind and mutator in ("", m)
                )
                for kind in kinds
            ]  # fmt: skip
            if sum(row):
                cells = " | ".join(map(str, (sum(row), *row)))
                print(f"| {name} | {mutator or 'all'} | {cells} |")
    print("\nLines reached by the mutants that were watched:")
    for name, (reached, lines) in Lines.share(total.lines).items():
        print(f"  {name}: {reached} of {lines}")
    for key, (count, seed, text) in total.findings.items():
        print(f"\n{count} times, first at seed {seed}: {key}\n{text}")


if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    sys.exit(main())
