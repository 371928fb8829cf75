"""Who was recorded: processes without their GPU operations, and steps that launch nothing."""

from __future__ import annotations

from ..idle.census import ProcessCount, unrecorded
from ..idle.counts import Counted
from ..idle.steps import Steps
from ..model.source import TORCH_PROFILER
from ..model.text import plain
from ..model.trace import Trace
from ..model.verdict import Level, Verdict
from ..store.opened import Store
from . import codes
from .remedies import remedies

NAMED = 3
"""Processes that a sentence names; the others are counted."""


def judge_census(trace: Trace | Store, counted: Counted) -> list[Verdict]:
    """Processes of which nothing was recorded while others were."""
    lost = unrecorded(counted.processes)
    if not lost:
        return []
    source = trace.source
    everybody = counted.processes
    if source.producer == TORCH_PROFILER and (
        sum(one.operations for one in everybody) >= sum(one.launches for one in everybody)
    ):
        return [_not_told_apart(lost, everybody)]
    shares = source.gpus == 1
    one = len(lost) == 1
    told = "; ".join(_told(process) for process in lost[:NAMED])
    more = f"; and {len(lost) - NAMED} more processes" if len(lost) > NAMED else ""
    others = [p.pid for p in counted.processes if p.operations]
    whose = f"process {others[0]}" if len(others) == 1 else f"{len(others)} other processes"
    if shares:
        after = "it used the one GPU of this machine" if one else "they used the one GPU there is"
        after += ": busy time is missing, and shows as idle"
    else:
        after = f"the figures are those of {whose}"
        after += f"; a GPU that {'it' if one else 'they'} shared would look idle meanwhile"
    return [
        Verdict(
            "device",
            Level.INVALID if shares else Level.DEGRADED,
            codes.PROCESS_NOT_RECORDED,
            f"{told}{more}: {after}",
            remedies(source).every_process,
        )
    ]


def _not_told_apart(lost: tuple[ProcessCount, ...], everybody: tuple[ProcessCount, ...]) -> Verdict:
    """As many operations as launches: none is missing, but rows name their call by its id alone."""
    pids = ", ".join(str(one.pid) for one in lost[:NAMED])
    others = ", ".join(str(one.pid) for one in everybody if one.operations)
    return Verdict(
        "steps",
        Level.DEGRADED,
        codes.PROCESS_NOT_RECORDED,
        f"no GPU operation is of a call of process {pids}, and there are enough for all launches: "
        f"rows name no process, and ids that both use are taken for those of process {others}; its "
        "steps may hold the work of both",
        "look at each rank's own file, or merge them with the rank before each pid: '[TP00] 100'",
    )


def _told(process: ProcessCount) -> str:
    if process.launches == 1:
        return f"the launch of process {process.pid} left no GPU operation"
    return f"none of the {process.launches} launches of process {process.pid} left a GPU operation"


def steps_elsewhere(counted: Counted, steps: Steps) -> Verdict | None:
    """Where all steps are of processes that launch nothing, and others launch: who does what."""
    stepping = {series.thread.pid for series in steps.series}
    by_pid = {one.pid: one for one in counted.processes}
    working = [one for one in counted.processes if one.operations and one.pid not in stepping]
    idle = all(pid in by_pid and not _works(by_pid[pid]) for pid in stepping)
    if not working or not idle:
        return None
    most = max(working, key=lambda one: one.operations)
    who = "process" if len(stepping) == 1 else "processes"
    pids = ", ".join(map(str, sorted(stepping)[:NAMED]))
    if most.common:
        names = ", ".join(f"'{name}' ({count})" for name, count in most.common)
        remedy = f"choose ranges of process {most.pid} with --step; there are {names}"
    else:
        remedy = f"mark the steps in process {most.pid}, or try --infer-steps"
    return Verdict(
        "steps",
        Level.INVALID,
        codes.STEPS_ELSEWHERE,
        f"the steps are ranges of {who} {pids}, which launched nothing; process {most.pid} "
        f"launched {most.operations:,} operations",
        plain(remedy, 400),
    )


def _works(process: ProcessCount) -> bool:
    return process.operations > 0 or process.launches > 0
