#!/usr/bin/env python
"""What recordings say that were made beside steps without the recorder; the tables of a page.

    python benchmarks/bare.py FOLDER... [--write docs/h200.md]

The folders hold what benchmarks/gpu/bare.sh and tests/planted/bare.sh made, unpacked. Tables:

- `proofs`: of each recording its step, by how much the recorder lengthens it (pairs of blocks), the
  bare step, and what that misses by against pairs which the fit never saw; or why its figures are
  as recorded.
- `delays`: loops with 500 us of Python or a longer kernel put in, in the bare timeline. Python must
  lengthen the step, idle time and the host's share of it by as much, and nothing else; the kernel
  the step and busy time alone. A figure may be off as in gpu/evidence.py: by 8 us, and by what runs
  of one loop differ by; a loop that was run once is given the difference of the others, and where
  none was run twice, nothing is judged.
- `planted`: whether the answer is the planted fault, judged as tests/planted judges, and the step
  that it predicts against bare blocks of the loop without the fault, where both are proved.

Without --write the tables are printed. Exits 1 where a delay or an answer of a proved timeline is
wrong.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct
from page import written

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from harness.analysis.analyze import analyze  # noqa: E402
from harness.analysis.answer.compose import answer_of  # noqa: E402
from harness.analysis.bare.blocks import NoBlocks, pairs_of, read_blocks  # noqa: E402
from harness.analysis.bare.ratio import ratio_of  # noqa: E402
from harness.analysis.model.trace import Operations, Ranges, Trace  # noqa: E402
from harness.analysis.question import Question, StepPattern  # noqa: E402
from harness.analysis.report import TraceReport  # noqa: E402
from harness.analysis.statistics.interval import Interval  # noqa: E402
from tests.planted.kinds import KINDS, PLACES  # noqa: E402

CORPUS = ROOT / "tests" / "planted" / "corpus.json"
DELAYS = {"delay-none": "none", "delay-host": "host", "delay-gpu": "gpu"}
MOVES = {"host": {"step", "idle", "idle: host"}, "gpu": {"step", "busy"}}
NOISE_US = 8
SAME_LOOP = 0.01
"""Share by which loops without their fault may differ from the plain one to be taken for it."""
NEAR = 0.1
"""Share by which a predicted step may miss, as in tests/planted."""


class Recording(Struct, frozen=True, eq=False):
    """One recording, as analysed."""

    name: str
    path: Path
    report: TraceReport
    """Of the bare timeline, where it is proved."""
    ratio: Interval | None
    pairs: int

    @property
    def step_us(self) -> float | None:
        """As the report has it."""
        steady = self.report.series[0].steady if self.report.series else None
        return None if steady is None else steady.period_ns / 1000

    @property
    def recorded_us(self) -> float | None:
        bare = self.report.bare
        return self.step_us if bare is None else bare.recorded_ns / 1000


def opened(path: Path, question: Question) -> Recording:
    report = analyze(path, question)
    blocks = read_blocks(report.trace.source.manifest)
    pairs = None if isinstance(blocks, NoBlocks) else pairs_of(blocks)
    ratio = ratio_of(pairs) if pairs is not None and len(pairs) > 1 else None
    return Recording(path.stem, path, report, ratio, 0 if pairs is None else len(pairs))


def percent(share: float) -> str:
    return f"{100 * share:+.1f} %"


def between(interval: Interval) -> str:
    return f"{interval.estimate:.3f} ({interval.low:.3f} to {interval.high:.3f})"


def us(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def proofs(recordings: Sequence[Recording], label: dict[Path, str]) -> list[str]:
    """A row each; those with a proof first say by how much it misses."""
    lines = [
        "| recording | step, µs | pairs | with the recorder / without | factor | bare step, µs "
        "| misses unseen pairs by |",
        "|---|---|---|---|---|---|---|",
    ]
    errors = []
    for one in recordings:
        bare = one.report.bare
        cells = [label[one.path], us(one.recorded_us), str(one.pairs or "")]
        cells.append(between(one.ratio) if one.ratio else "")
        if bare is None:
            cells += ["", "", f"as recorded: {one.report.as_recorded}"]
        else:
            errors.append((bare.error, bare.error_low, bare.error_high))
            off, low, high = map(percent, errors[-1])
            cells += [f"{bare.factor:.2f}", us(bare.step_ns / 1000), f"{off} ({low} to {high})"]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", f"- proved: {len(errors)} of {len(recordings)}"]
    if errors:
        held = sum(low <= 0 <= high for _, low, high in errors)
        largest, mean = (f(abs(off) for off, *_ in errors) for f in (max, _mean))
        lines.append(
            f"- of these, the bare step misses pairs that the fit never saw by {100 * mean:.1f} % "
            f"in the mean, {100 * largest:.1f} % at most; the interval holds 0 in {held}"
        )
    return lines


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def figures(report: TraceReport) -> dict[str, float]:
    """Per steady step: all that a delay may move, us."""
    steady = report.series[0].steady
    assert steady is not None
    found = {"step": steady.period_ns, "busy": steady.busy_ns, "idle": steady.idle_ns}
    found |= {f"idle: {cause}": ns for cause, ns in steady.causes.items()}
    return {name: ns / 1000 for name, ns in found.items()}


def told(recording: Recording) -> dict[str, float]:
    """What the loop itself measured of its delays: its last line that is JSON."""
    log = recording.path.with_suffix(".txt").read_text().splitlines()
    found: dict[str, float] = json.loads(next(one for one in reversed(log) if one[:1] == "{"))
    return found


def delay_of(recording: Recording) -> str:
    """What was put in; empty where it is another loop."""
    return DELAYS.get(recording.name.removesuffix("-again"), "")


def delays(recordings: Sequence[Recording], label: dict[Path, str]) -> tuple[list[str], list[str]]:
    """The table, and what of it is wrong."""
    runs: dict[str, list[Recording]] = {case: [] for case in DELAYS.values()}
    wrong, left_out = [], []
    for one in recordings:
        if one.report.bare is None:
            left_out.append(f"- left out, as recorded: {label[one.path]}")
        else:
            runs[delay_of(one)].append(one)
    bare = {case: [figures(one.report) for one in found] for case, found in runs.items()}
    raw = {
        case: [figures(analyze(one.path, Question(as_recorded=True))) for one in found]
        for case, found in runs.items()
    }
    twice = any(len(found) > 1 for found in runs.values())
    lines = [
        "| put in | figure | without it, µs | with it | moves by | moves as recorded "
        "| expected | within |",
        "|---|---|---|---|---|---|---|---|",
    ]
    keys = list(dict.fromkeys(key for rows in bare.values() for row in rows for key in row))
    for case, moves in MOVES.items():
        if not runs[case] or not runs["none"]:
            continue
        by = "injected_us" if case == "host" else "sleep_us"
        put_in = _mean(told(one)[by] for one in runs[case]) - _mean(
            told(one)[by] for one in runs["none"]
        )
        for key in keys:
            plain, moved = (_mean(row.get(key, 0) for row in bare[k]) for k in ("none", case))
            recorded = [_mean(row.get(key, 0) for row in raw[k]) for k in ("none", case)]
            if max(plain, moved) < 1:
                continue
            expected = put_in if key in moves else 0.0
            bound = NOISE_US + sum(_spread(bare, k, key) for k in ("none", case))
            off = twice and abs(moved - plain - expected) > bound
            cells = [case, key, f"{plain:.1f}", f"{moved:.1f}", f"{moved - plain:+.1f}"]
            cells += [f"{recorded[1] - recorded[0]:+.1f}", f"{expected:+.1f}"]
            cells.append((f"{bound:.0f}" if twice else "?") + (" **WRONG**" if off else ""))
            lines.append(f"| {' | '.join(cells)} |")
            if off:
                wrong.append(f"delays: {case}: {key} moves by {moved - plain:+.1f} us")
    lines += ["", *_within(runs, label), *left_out]
    lines.append(f"- runs: {', '.join(f'{case} {len(found)}' for case, found in runs.items())}")
    return lines, wrong


def _spread(rows: dict[str, list[dict[str, float]]], case: str, key: str) -> float:
    """What runs of the case differ by; of a single run, what those of any case differ by."""
    each = {
        name: max(values) - min(values)
        for name, found in rows.items()
        if len(found) > 1 and (values := [row.get(key, 0.0) for row in found])
    }
    return each.get(case, max(each.values(), default=0.0))


def _within(runs: dict[str, list[Recording]], label: dict[Path, str]) -> list[str]:
    """What was put in, as one recording has it by itself."""
    lines = []
    for one in runs["host"]:
        lengths = named(one.report.trace, one.report.trace.ranges, "Injected Delay")
        lines.append(
            f"- {label[one.path]}: `Injected Delay` takes {lengths:.1f} µs in the bare "
            f"timeline, {told(one)['injected_us']:.1f} µs by the loop's own clock"
        )
    for one in runs["gpu"]:
        lengths = named(one.report.trace, one.report.trace.operations, "spin_kernel")
        lines.append(
            f"- {label[one.path]}: the sleeping kernel takes {lengths:.1f} µs in the bare "
            f"timeline, {told(one)['sleep_us']:.1f} µs by events around it"
        )
    return lines


def named(trace: Trace, rows: Ranges | Operations, name: str) -> float:
    """The mean length of rows that are called so, us."""
    ids = [key for key, text in trace.strings.values.items() if name in text]
    return _mean((rows.end - rows.start)[np.isin(rows.name, ids)]) / 1000


def planted(recordings: Sequence[Recording]) -> tuple[list[str], list[str]]:
    """The table, and what of it is wrong."""
    corpus = {
        one["loop"]: one
        for one in json.loads(CORPUS.read_text())["loops"]
        if one["recorder"] == "shim"
    }
    by_name = {one.name: one for one in recordings}
    lines = [
        "| loop: planted | timeline | step, µs | answer | step without it, µs: predicted, "
        "bare blocks of the clean loop |",
        "|---|---|---|---|---|",
    ]
    wrong, right, near, predicted = [], {True: 0, False: 0}, 0, 0
    faults = [one for one in recordings if one.name.endswith("-fault")]
    for one in faults:
        loop = one.name.removesuffix("-fault")
        proved = one.report.bare is not None
        answer = answer_of(one.report)
        place = PLACES["shim"].get(loop.removesuffix("-workers"), corpus[loop]["range"])
        told_of_place = answer.kind in ("eager-launches", "stalled-step") or not place
        named = answer.kind == KINDS[corpus[loop]["kind"]][0]
        named = named and (told_of_place or place in answer.text)
        right[proved] += named
        cells = [f"{loop}: {corpus[loop]['kind']}", "bare" if proved else "as recorded"]
        cells += [us(one.step_us), f"{'**right**' if named else 'WRONG'}: `{answer.kind}`"]
        clean = _clean(loop, by_name, corpus)
        cell = ""
        if proved and clean is not None and clean.report.bare and answer.rung and one.step_us:
            left = one.step_us - answer.rung.gain_ns / 1000
            there = clean.report.bare.blocks_step_ns / 1000
            off = left / there - 1
            predicted += 1
            near += abs(off) <= NEAR
            cell = f"{left:,.0f}, {there:,.0f} ({percent(off)})"
        lines.append(f"| {' | '.join([*cells, cell])} |")
        if proved and not named:
            wrong.append(f"planted: {one.name}: the bare timeline's answer is {answer.kind}")
    count = {
        proved: sum((one.report.bare is not None) is proved for one in faults) for proved in right
    }
    lines += [
        "",
        f"- the answer is the planted fault in {right[True]} of {count[True]} bare timelines, and "
        f"in {right[False]} of {count[False]} timelines as recorded",
        f"- the predicted step is within {NEAR:.0%} of the clean loop's bare blocks in {near} of "
        f"{predicted}",
    ]
    return lines, wrong


def _clean(
    loop: str, by_name: dict[str, Recording], corpus: dict[str, dict[str, Any]]
) -> Recording | None:
    """The loop without its fault: its own recording, or that of the plain loop, where the two take
    as long as each other without a recorder."""
    own = by_name.get(f"{loop}-clean")
    if own is not None:
        return own
    mine, plain = (corpus[name]["clean"]["bare"]["mean_us"] for name in (loop, "gpu-bound"))
    return by_name.get("gpu-bound-clean") if abs(mine / plain - 1) <= SAME_LOOP else None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, nargs="+")
    parser.add_argument("--write", type=Path, help="page with the places for the tables")
    options = parser.parse_args()
    found = [path for folder in options.folder for path in sorted(folder.glob("*.sqlite"))]
    if not found:
        parser.error("no recording in there")
    ours = [path for path in found if not path.stem.endswith(("-fault", "-clean"))]
    steps = Question(patterns=(StepPattern.glob("train_step *"),))
    plain = [opened(path, Question()) for path in ours]
    loops = [opened(path, steps) for path in found if path not in ours]
    names = [one.name for one in plain + loops]
    label = {
        one.path: one.name if names.count(one.name) == 1 else f"{one.path.parent.name}/{one.name}"
        for one in plain + loops
    }
    texts: dict[str, list[str]] = {}
    wrong: list[str] = []
    if plain:
        texts["proofs"] = proofs(plain, label)
    delayed = [one for one in plain if delay_of(one)]
    if delayed:
        texts["delays"], bad = delays(delayed, label)
        wrong += bad
    if loops:
        texts["proofs of planted loops"] = proofs(loops, label)
        texts["planted"], bad = planted(loops)
        wrong += bad
    made = {name: "\n".join(lines) for name, lines in texts.items()}
    if options.write:
        options.write.write_text(written(options.write.read_text(), made))
    else:
        print("\n\n".join(f"## {name}\n\n{text}" for name, text in made.items()))
    for line in wrong:
        print(f"WRONG: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
