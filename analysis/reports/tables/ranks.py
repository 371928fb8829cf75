"""Which rank makes the others wait: one row a rank, and the sentences that go with them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ...answer.kinds import kind_named
from ...answer.of_gains import within
from ...figures.units import human, share
from ...model.communication import Communication
from ...model.text import plain
from ...report import TraceReport
from ...verdicts.judge import Level
from ..base import Column, Report, Table, Value
from .kept import rows_of
from .notes import listed
from .place import believed, file_name, name_of

if TYPE_CHECKING:
    from ...ranks.collectives import RankSteps
    from ...ranks.stragglers import JobRanks

SPOKEN_OF = 3
"""Jobs whose straggler the main view names."""


def jobs_of(report: Report) -> tuple[JobRanks, ...]:
    """The jobs whose ranks these traces are; traces without communication are of none."""
    if not any(device.communication_ns for trace in report.traces for device in trace.devices):
        return ()
    from ...ranks.collectives import rank_steps
    from ...ranks.on_time import with_gains
    from ...ranks.stragglers import Member, jobs

    communication = Communication(report.question.comm)

    def drawn(trace: TraceReport) -> tuple[RankSteps, ...]:
        return rank_steps(trace, communication)

    members = []
    # A trace that was given twice is one rank all the same.
    once: dict[str, TraceReport] = {}
    for trace in report.traces:
        once.setdefault(os.path.normpath(trace.path), trace)
    for trace in once.values():
        source = trace.trace.source
        told = source.manifest.get("label") or source.manifest.get("strategy")
        members += [
            Member(
                name_of(trace), str(told or ""), source.rank, source.rank_from, source.origin, one
            )
            for one in rows_of(trace, "ranks", drawn)
        ]
    return with_gains(jobs(members), report.traces)


def by_rank(report: Report) -> Table:
    """One row a rank of each job whose ranks can be compared."""
    split = {t.path: believed(t, "causes") for t in report.traces}
    rows: list[tuple[Value, ...]] = []
    for job in jobs_of(report):
        for one in job.ranks:
            mostly = one.mostly
            if mostly is not None and mostly[0] != "compute" and not split[one.member.figures.path]:
                mostly = None
            rows.append(
                (
                    job.name,
                    one.member.label,
                    one.member.figures.path,
                    job.pattern,
                    one.rank,
                    one.rank_from,
                    one.member.figures.device,
                    one.member.figures.pid,
                    one.steps,
                    one.collectives,
                    one.period_ns,
                    one.compute_ns,
                    one.idle_ns,
                    one.communication_ns,
                    one.wait_ns,
                    one.last_share,
                    one.made_wait_ns,
                    one.alone_ns,
                    mostly[0] if mostly else None,
                    mostly[1] if mostly else None,
                )
            )
    return Table(
        "by_rank",
        "Who waits for whom, per step",
        (
            Column("job", "job"),
            Column("strategy", "strategy"),
            Column("trace", "trace"),
            Column("pattern", "pattern"),
            Column("rank", "rank", "int"),
            Column("rank_from", "rank from"),
            Column("device", "GPU", "int"),
            Column("pid", "pid", "id"),
            Column("steps", "steps", "int"),
            Column("collectives", "collectives", "int"),
            Column("period_ns", "step µs", "us"),
            Column("compute_ns", "compute µs", "us"),
            Column("idle_ns", "idle µs", "us"),
            Column("communication_ns", "comm. µs", "us"),
            Column("wait_ns", "waits µs", "us"),
            Column("last_share", "last", "percent"),
            Column("made_wait_ns", "others wait µs", "us"),
            Column("alone_ns", "alone µs", "us"),
            Column("extra_cause", "extra"),
            Column("extra_ns", "extra µs", "us"),
        ),
        tuple(rows),
    )


def rank_lines(report: Report) -> list[str]:
    """The straggler of each job; with `--by rank` also what cannot be said, and why."""
    asked = report.question.by == "rank"
    if not _speaks_of_ranks(report):
        return []
    found = jobs_of(report)
    if asked and not found:
        return [_nothing(report)]
    lines = []
    shown = found if asked else _worst(found)
    for job in shown:
        where = f"{plain(job.name, 60)}: " if len(found) > 1 else ""
        if job.reason:
            said = "ranks not compared" if where else "Ranks not compared"
            lines += [f"{where}{said}: {plain(job.reason, 300)}."] if asked else []
            continue
        if not job.own_edges:
            remedy = f" {kind_named('straggler').remedy}" if job.straggler else ""
            lines.append(where + headline(job) + would_win(job) + remedy)
        if asked:
            lines += [f"{where}{plain(note, 300)}." for note in job.notes]
    late = sum(job.straggler is not None for job in found)
    if late > len(shown):
        lines.append(f"{late - len(shown)} more jobs have a late rank: --by rank names them.")
    return lines


def _speaks_of_ranks(report: Report) -> bool:
    asked = report.question
    return asked.by == "rank" or (asked.by is None and not asked.top)


def would_win(job: JobRanks) -> str:
    """What a step would win with the late rank on time, as another rank's replay has it; empty
    where that is unknown, and where it is not more than the replay's error."""
    gain, spared = job.on_time, job.spared
    if gain is None or spared is None:
        return ""
    step = spared.rank.period_ns
    return (
        f" With rank {spared.late} on time, a step takes {human(gain.gain_ns)} less of "
        f"{human(step)} ({share(gain.gain_ns / step)}), give or take "
        f"{within(gain.error_ns)}, by a replay of rank {gain.rank}."
    )


def _nothing(report: Report) -> str:
    """Why no rank stands in the table."""
    reasons: dict[str, list[str]] = {}
    for trace in report.traces:
        if why := _why_not(trace):
            reasons.setdefault(why, []).append(file_name(trace))
    if not reasons:
        return (
            "No kernel of these traces is known to be communication (NCCL, RCCL, all-reduce "
            "kernels of vLLM, SGLang, TensorRT-LLM, FlashInfer and PyTorch): no rank waits for "
            "another in what they show. Name others with --comm GLOB."
        )
    alike = len(reasons) == 1
    told = (why if alike else f"{listed(names)}: {why}" for why, names in reasons.items())
    return f"Ranks not compared: {'; '.join(told)}."


def _why_not(trace: TraceReport) -> str:
    """Why a trace is no rank to compare; empty where it shows no communication."""
    if trace.level("device") is Level.INVALID:
        return "the device figures cannot be believed"
    seen = any(device.communication_ns for device in trace.devices)
    if not seen:
        whole = any(device.graph_level_ns for device in trace.devices)
        return "CUDA graphs were recorded whole, with what communicates in them" if whole else ""
    if not trace.series:
        return "there are communication kernels, and no steps: choose them with --step"
    if not any(one.steady for one in trace.series):
        steps = max(len(one.table) for one in trace.series)
        return (
            f"there are communication kernels, and no steady-state steps: of {steps}, the first "
            "and the last are left out"
        )
    return "there are communication kernels, and none of them in the steps"


def _worst(found: tuple[JobRanks, ...]) -> list[JobRanks]:
    """The few jobs whose straggler takes the largest share of a step."""
    late = [(one.made_wait_ns / one.period_ns, job) for job in found if (one := job.straggler)]
    return [job for _, job in sorted(late, key=lambda pair: -pair[0])[:SPOKEN_OF]]


def headline(job: JobRanks) -> str:
    """`rank 3 makes the others wait 1.2 ms per step; its extra time is host`."""
    origins = sorted({one.member.origin for one in job.ranks} - {"measured"})
    mark = f" ({', '.join(origins)})" if origins else ""
    return _headline(job) + mark + "."


def _headline(job: JobRanks) -> str:
    worst = job.straggler
    if worst is None:
        most = max(job.ranks, key=lambda one: one.made_wait_ns)
        return (
            "No rank makes the others wait as much as 1% of a step: the most is "
            f"{human(most.made_wait_ns)}, by rank {most.rank}"
        )
    text = (
        f"Rank {worst.rank} makes the others wait {human(worst.made_wait_ns)} per step "
        f"({share(worst.made_wait_ns / worst.period_ns)} of it)"
    )
    mostly = worst.mostly
    if mostly is None:
        return f"{text}; where its extra time goes cannot be told"
    name = "its own kernels" if mostly[0] == "compute" else mostly[0]
    return f"{text}; its extra time is {name} (+{human(mostly[1])})"
