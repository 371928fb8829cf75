"""What nsys's rules, nsys-ai and HTA say of a planted loop's recordings, as findings.

Each is asked what an engineer would ask first, and helped once where its defaults stand in the way:

- nsys: every rule of `nsys analyze` for CUDA; `gpu-starv` for gaps from 1 ms on (its default of
  500 ms is longer than any step here).
- nsys-ai: `diagnose`, and its root causes (`skill run root_cause_matcher`). Its language model is
  not asked.
- HTA: temporal, idle time and kernel breakdown, without its rounding to whole microseconds.

The recordings end with the wait for all steps, which is the recorder's and no fault of the loop.
nsys and nsys-ai get copies without the calls that begin after the last step. (`harness gaps` is
told which ranges are steps, and HTA does not look at waits.)
"""

from __future__ import annotations

import csv
import json
import os
import re
import sqlite3
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from planted_judge import Finding, Said

RULES = {
    "cuda-sync-api": "Synchronous APIs",
    "cuda-async-memcpy": "Async Memcpy with Pageable Memory",
    "cuda-sync-memcpy": "Synchronous Memcpy",
    "cuda-sync-memset": "Synchronous Memset",
    "gpu-low-util": "GPU Low Utilization",
    "gpu-starv:gap=1": "GPU Starvation",
}
"""Rule with its options to its title in nsys's help."""

MOST_FINDINGS = 16
_MS = re.compile(r"(?:totall?ing )([\d.]+) ?ms\b"), re.compile(r"([\d.]+) ?ms\b")
_NUMBERS = re.compile(r"[\d.,]+")

HTA = """
import json, os, sys, warnings
warnings.filterwarnings("ignore")
from importlib.metadata import version
from hta.trace_analysis import TraceAnalysis
for path in sys.argv[1:]:
    try:
        analysis = TraceAnalysis(trace_files={0: path}, trace_dir=os.path.dirname(path))
        idle, _ = analysis.get_idle_time_breakdown(ranks=[0], visualize=False)
        told = {
            "idle": idle.groupby("idle_category")["idle_time"].sum().to_dict(),
            "temporal": analysis.get_temporal_breakdown(visualize=False).to_dict("records")[0],
            "kernels": analysis.get_gpu_kernel_breakdown(visualize=False)[0].to_dict("records"),
        }
    except Exception as error:
        told = {"error": f"{type(error).__name__}: {error}"}
    print("SAID", json.dumps([path, told], default=float))
"""


def without_last_wait(trace: Path) -> float:
    """Takes the calls after the last step out of a copy; returns its length in ms."""
    with sqlite3.connect(trace) as database:
        tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master")}
        first, last = database.execute(
            "SELECT min(n.start), max(n.end) FROM NVTX_EVENTS n LEFT JOIN StringIds s ON s.id ="
            " n.textId WHERE coalesce(n.text, s.value) LIKE 'train_step %'"
        ).fetchone()
        end = last
        for table in tables:
            if table in ("CUPTI_ACTIVITY_KIND_RUNTIME", "CUPTI_ACTIVITY_KIND_SYNCHRONIZATION"):
                database.execute(f"DELETE FROM {table} WHERE start > ?", (last,))
            elif table.startswith("CUPTI_ACTIVITY_KIND_"):
                ended = database.execute(f"SELECT max(end) FROM {table}").fetchone()[0]
                end = max(end, ended or 0)
    database.close()
    return float(end - first) / 1e6


def ask_nsys(nsys: str, trace: Path, window_ms: float) -> Said:
    findings, errors = [], []
    for rule, title in RULES.items():
        command = [nsys, "analyze", "--format", "csv", "--output", "-", "--rule", rule, str(trace)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        rows = list(csv.DictReader(line for line in done.stdout.splitlines() if "," in line))
        if rows:
            findings.append(_of_rows(title, rows))
        elif done.returncode or "ERROR" in done.stdout + done.stderr:
            errors.append(f"{rule}: {_last_line(done.stdout + done.stderr)}")
    findings.sort(key=lambda finding: -(finding.ms or 0))
    return Said(window_ms, findings, "; ".join(errors) if len(errors) == len(RULES) else "")


def _last_line(text: str) -> str:
    return text.strip().splitlines()[-1][:120] if text.strip() else "no output"


def _of_rows(title: str, rows: list[dict[str, str]]) -> Finding:
    """A rule's rows as one finding: what they have in common, how many, how long in all."""
    calls = Counter(
        ", ".join(
            part
            for part in (
                re.sub(r"_v\d+$", "", row.get("API Name", "")),
                " to ".join(k for k in (row.get("Src Kind"), row.get("Dst Kind")) if k),
            )
            if part
        )
        for row in rows
    )
    text = "; ".join(f"{count} x {what or 'row'}" for what, count in calls.most_common(3))
    return Finding(title, text, ms=round(sum(int(r["Duration (ns)"]) for r in rows) / 1e6, 3))


def ask_nsys_ai(program: str, trace: Path, window_ms: float) -> Said:
    def asked(*words: str) -> Any:
        done = subprocess.run(
            [program, *words, str(trace), "--format", "json"],
            capture_output=True, text=True, check=False, cwd=trace.parent,
        )  # fmt: skip
        try:
            return json.loads(done.stdout)
        except ValueError:
            raise RuntimeError(_last_line(done.stdout) if done.stdout else done.stderr) from None

    try:
        causes = asked("skill", "run", "root_cause_matcher")
        report = asked("diagnose")["findings"]
    except RuntimeError as error:
        found = re.search(r"[Nn]o suitable \w+ table|\w*Error: .*", str(error))
        return Said(window_ms, [], found[0][:120] if found else _last_line(str(error)))
    findings = [
        _timed(Finding(one["pattern"], one["evidence"], one["recommendation"])) for one in causes
    ]
    findings += [_timed(Finding(one["label"], one["note"])) for one in report]
    headroom = max((one.get("headroom_ms") or 0.0 for one in report), default=0.0)
    return Said(window_ms, _merged(findings)[:MOST_FINDINGS], headroom_ms=headroom)


def _timed(finding: Finding) -> Finding:
    """With the time that it tells: the total where it names one, else the first."""
    for pattern in _MS:
        if found := pattern.search(f"{finding.text} {finding.title}"):
            return replace(finding, ms=float(found[1]))
    return finding


def _merged(findings: list[Finding]) -> list[Finding]:
    """Findings that differ in their numbers alone (the five longest gaps) are one."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        key = (_NUMBERS.sub("", finding.title), _NUMBERS.sub("", finding.text))
        groups.setdefault(key, []).append(finding)
    return [
        replace(group[0], ms=sum(f.ms or 0 for f in group)) if group[0].ms is not None else group[0]
        for group in groups.values()
    ]


def ask_hta(python: str, traces: list[Path]) -> dict[str, Said]:
    """By file name; one process reads them all."""
    done = subprocess.run(
        [python, "-c", HTA, *map(str, traces)],
        capture_output=True, text=True, check=False,
        env=os.environ | {"HTA_DISABLE_NS_ROUNDING": "1"},
    )  # fmt: skip
    said = {}
    for line in done.stdout.splitlines():
        if line.startswith("SAID "):
            path, told = json.loads(line.removeprefix("SAID "))
            said[Path(path).name] = _of_breakdowns(told)
    if len(said) != len(traces):
        raise SystemExit(f"planted_vs_peers: HTA read {len(said)} files: {done.stderr[-400:]}")
    return said


def _of_breakdowns(told: dict[str, Any]) -> Said:
    """Idle time with the category that most of it is of, and what the GPU runs but kernels."""
    if "error" in told:
        return Said(0, [], str(told["error"]).strip().splitlines()[0][:120])
    temporal = told["temporal"]
    idle = told["idle"]
    of_all = max(sum(idle.values()), 1)
    most = max(idle, key=lambda category: idle[category])
    findings = [
        Finding(
            f"idle {temporal['idle_time_pctg']:.0f}%",
            f"{idle[most] / of_all:.0%} {most}",
            ms=temporal["idle_time(us)"] / 1000,
        )
    ]
    for row in told["kernels"]:
        if row["kernel_type"] in ("MEMORY", "COMMUNICATION"):  # not what runs beside kernels
            title = f"{row['kernel_type']} {row['percentage']:.0f}%"
            findings.append(Finding(title, ms=float(row["sum"]) / 1000))
    return Said(temporal["kernel_time(us)"] / 1000, findings)
