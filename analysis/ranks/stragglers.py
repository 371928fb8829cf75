"""Which rank the others wait for: collectives matched across ranks, by their lengths alone.

See "Ranks and stragglers" in docs/definitions.md.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from ..model.arrays import Bool, Code
from ..model.communication import of_group
from ..model.intervals import Int64
from ..model.launchers import rank_in_path
from .collectives import RankSteps

SLIGHT = 0.01
"""Share of the period below which waiting is not spoken of."""


class Member(Struct, frozen=True):
    """One rank of a job, as its trace tells it."""

    label: str
    job: str
    """What traces of one job have in common besides their names: the manifest's own words."""
    rank: int | None
    rank_from: str
    origin: str
    figures: RankSteps


class RankFigures(Struct, frozen=True):
    """One rank over the steps that all ranks have; means per step, ns."""

    member: Member
    rank: int
    rank_from: str
    """Who says so: `manifest`, a variable's name, `file name`, or `order`."""
    steps: int
    collectives: int
    """Over all those steps."""
    period_ns: float
    compute_ns: float
    communication_ns: float
    idle_ns: float
    wait_ns: float
    """How much longer its collectives took than the last rank's."""
    last_share: float | None
    """Share of the collectives in which it came last; None where nobody ever waited."""
    made_wait_ns: float
    """How long each other rank waited, on average, in the collectives where this one came last."""
    alone_ns: float
    """Of that, what the others would not have waited had it come with the last but one."""
    extra: dict[str, float]
    """Compute and idle time by cause, beyond the median of the other ranks."""

    @property
    def mostly(self) -> tuple[str, float] | None:
        """Where most of its extra time goes; None where it has none, or makes nobody wait."""
        name, ns = max(self.extra.items(), key=lambda item: item[1])
        slight = self.made_wait_ns < SLIGHT * self.period_ns
        return None if slight or ns <= 0 else (name, ns)


class Spared(Struct, frozen=True):
    """What a rank would not wait if the straggler were on time, kernel by kernel."""

    rank: RankFigures
    """Of the others, the one that waits least: its own work is the longest."""
    late: int
    """The straggler."""
    start: Int64
    """Of its kernels that waited for the straggler, on the clock of its trace, ns; shape (n,)."""
    duration: Int64
    """For how long they waited for nobody else, ns, shape (n,)."""


class OnTime(Struct, frozen=True):
    """What the job would win if its straggler were on time: a replay of another rank. Times in ns
    a step."""

    rank: int
    """The rank that was replayed."""
    replayed_ns: float
    """Its step as it is."""
    gain_ns: float
    error_ns: float
    """How far the replay may be off."""


class JobRanks(Struct, frozen=True):
    """The ranks of one job: figures, or the reason why there are none."""

    name: str
    """What the traces are called, a star for the rank."""
    pattern: str
    ranks: tuple[RankFigures, ...]
    steps_left_out: int
    """Steps that not all ranks have, or whose collectives differ between ranks."""
    reason: str
    notes: tuple[str, ...]
    spared: Spared | None = None
    """None where nobody is late, or no rank alone is."""
    on_time: OnTime | None = None
    """None where it is not known, or not worth a word."""

    @property
    def own_edges(self) -> bool:
        """One or two steps are compared, between their own edges: nobody is called late."""
        return any(one.member.figures.own_edges for one in self.ranks)

    @property
    def straggler(self) -> RankFigures | None:
        """The rank that makes the others wait most, where that is worth a word."""
        if not self.ranks or self.own_edges:
            return None
        worst = max(self.ranks, key=lambda one: one.made_wait_ns)
        return worst if worst.made_wait_ns >= SLIGHT * worst.period_ns else None


def jobs(members: Sequence[Member]) -> tuple[JobRanks, ...]:
    """Members by job, and each job's figures.

    Traces whose names differ in the rank alone are one job; without a rank in the name, the traces
    of one folder are. `members` of one trace follow one another.
    """
    groups: dict[tuple[str, str, str], list[Member]] = defaultdict(list)
    for member in members:
        _, star = rank_in_path(member.figures.path)
        if "*" not in star:
            star = f"{star.rpartition('/')[0] or '.'}/*"
        groups[star, member.job, member.figures.pattern].append(member)
    # Of several jobs, what all their paths have in common says nothing.
    folders = {name.rpartition("/")[0] for name, _, _ in groups}
    alike = len(groups) > 1 and len({folder.startswith("/") for folder in folders}) == 1
    common = os.path.commonpath(folders) if alike else ""
    return tuple(
        _job(name.removeprefix(f"{common}/") if common else name, told, pattern, group)
        for (name, told, pattern), group in sorted(groups.items())
    )


def _job(name: str, job: str, pattern: str, members: list[Member]) -> JobRanks:
    title = f"{name} ({job})" if job else name
    numbers, notes = _numbers(members)
    order = sorted(range(len(numbers)), key=lambda k: numbers[k][0])
    members = [members[k] for k in order]
    numbers = [numbers[k] for k in order]

    def none(reason: str) -> JobRanks:
        return JobRanks(title, pattern, (), 0, reason, ())

    if len(members) < 2:
        return none("one rank has nobody to wait for it; give the traces of all ranks")
    counted = Counter(number for number, _ in numbers)
    number, times = counted.most_common(1)[0]
    if times > 1:
        same = [m.figures.path for m, (n, _) in zip(members, numbers, strict=True) if n == number]
        return none(
            f"{times} traces call themselves rank {number} ({', '.join(same[:3])}); give those of "
            "one run, or name them by rank"
        )
    if not all(len(m.figures.step) for m in members):
        which = next(
            n for m, (n, _) in zip(members, numbers, strict=True) if not len(m.figures.step)
        )
        return none(
            f"rank {which} ran no AllReduce, AllGather or ReduceScatter kernel in its steps"
        )
    figures, of_others = _of_common_groups([m.figures for m in members])
    if not all(len(one.step) for one in figures):
        return none(
            "their collectives are among other ranks each: give the ranks of one process group"
        )
    matched = _match(figures, numbered=True)
    if matched.steps == 0:  # ranks of other PyTorch releases, or that counted from elsewhere
        matched = _match(figures, numbered=False)
    if matched.steps == 0:
        return none("no step has the same collectives on all ranks")
    if of_others:
        notes.append(
            f"{of_others} collectives are of process groups that not all these ranks are in: they "
            "count as communication, and nobody's wait is read from them"
        )
    # A manifest may call its rank what it likes: no more numbers are looked at than are named.
    absent = (rank for rank in range(numbers[-1][0]) if rank not in counted)
    if missing := list(islice(absent, 6)):
        some = ", ".join(map(str, missing[:5])) + (", ..." if len(missing) > 5 else "")
        notes.append(f"rank {some} is missing: what the others wait for may be there")
    if matched.left_out:
        notes.append(
            f"{matched.left_out} step{'' if matched.left_out == 1 else 's'} left out: not all "
            "ranks have the same collectives there"
        )
    if others := sum(m.figures.others for m in members):
        notes.append(
            f"{others} communication kernels are no AllReduce, AllGather or ReduceScatter: they "
            "count as communication, and nobody's wait is read from them"
        )
    ranks = _figures(members, numbers, matched)
    if any(one.figures.own_edges for one in members):
        notes.append(
            "One or two steps of a trace are compared, between their own edges: too few to call a "
            "rank late"
        )
    job_ranks = JobRanks(title, pattern, ranks, matched.left_out, "", tuple(notes))
    return replace(job_ranks, spared=_spared(job_ranks, figures, matched))


def _spared(job: JobRanks, figures: Sequence[RankSteps], matched: _Matched) -> Spared | None:
    """`figures`: of each rank, what `matched` says the rows of."""
    if job.straggler is None:
        return None
    late = job.ranks.index(job.straggler)
    others = [k for k in range(len(job.ranks)) if k != late]
    least = min(others, key=lambda k: job.ranks[k].wait_ns)
    shortest_two = np.partition(matched.duration, 1, axis=0)[:2]
    alone = shortest_two[1] - shortest_two[0]
    mine = (matched.duration.argmin(axis=0) == late) & (alone > 0)
    if not mine.any():
        return None
    rows = matched.collective[least][mine]
    return Spared(job.ranks[least], job.straggler.rank, figures[least].start[rows], alone[mine])


def _numbers(members: list[Member]) -> tuple[list[tuple[int, str]], list[str]]:
    """(rank, who says so) of each member; one order for all where one of them does not say."""
    several = Counter(m.figures.path for m in members)
    found = []
    for member in members:
        rank, source = member.rank, member.rank_from
        if rank is None:
            rank, source = rank_in_path(member.figures.path)[0], "file name"
        # A report of several processes says the rank of none of them.
        known = rank is not None and several[member.figures.path] == 1
        found.append((rank if known and rank is not None else -1, source))
    if all(number >= 0 for number, _ in found):
        return found, []
    return [(k, "order") for k in range(len(members))], [
        "nothing says which rank is which: they are numbered in the order of the traces, and of "
        "GPUs and processes within one"
    ]


def _of_common_groups(ranks: Sequence[RankSteps]) -> tuple[list[RankSteps], int]:
    """The ranks without collectives of groups that not all of them are in, and how many these are.

    Two groups of one name (tensor parallel ranks 0 and 1, and 2 and 3) never meet.
    """
    common = set.intersection(*(set(one.names) for one in ranks))
    kept, left_out = [], 0
    for one in ranks:
        shared = np.array([n in common or not of_group(n) for n in one.names], np.bool_)
        rows = np.flatnonzero(shared[one.name]) if len(shared) else np.arange(len(one.name))
        left_out += len(one.name) - len(rows)
        columns = ("step", "name", "sequence", "start", "duration")
        kept.append(replace(one, **{name: getattr(one, name)[rows] for name in columns}))
    return kept, left_out


class _Matched(Struct, frozen=True):
    """The collectives that every rank has, in the steps where all have the same ones."""

    steps: int
    left_out: int
    rows: tuple[Int64, ...]
    """Of each rank, the rows of its steps, one a step; shape (steps,)."""
    collective: Int64
    """Of each rank, the rows of its collectives; shape (ranks, collectives)."""
    duration: Int64
    """Shape (ranks, collectives)."""


def _match(ranks: Sequence[RankSteps], *, numbered: bool) -> _Matched:
    """Collectives of one step and name: by their sequence numbers with `numbered`, and where they
    have one number or none, by the order of their starts."""
    common = ranks[0].number
    seen = ranks[0].number
    for one in ranks[1:]:
        common = np.intersect1d(common, one.number)
        seen = np.union1d(seen, one.number)
    texts = {text: k for k, text in enumerate(sorted({t for one in ranks for t in one.names}))}
    sequences = [one.sequence if numbered else np.zeros_like(one.sequence) for one in ranks]
    used = np.unique(np.concatenate(sequences))
    codes, count_of = [np.searchsorted(used, own) for own in sequences], max(len(used), 1)
    ordinals = [_ordinals(one.step, one.name, code) for one, code in zip(ranks, codes, strict=True)]
    depth = 1 + max(int(one.max(initial=0)) for one in ordinals)
    keys, orders = [], []
    for one, code, ordinal in zip(ranks, codes, ordinals, strict=True):
        at = np.searchsorted(common, one.number)
        known = np.isin(one.number, common)
        at = np.where(known, at, -1)[one.step]
        name = np.array([texts[text] for text in one.names], np.int64)[one.name]
        key = ((at * len(texts) + name) * count_of + code) * depth + ordinal
        mine = np.flatnonzero(at >= 0)
        order = mine[np.argsort(key[mine])]
        keys.append(key[order])
        orders.append(order)
    distinct, count = np.unique(np.concatenate(keys), return_counts=True)
    step_of = distinct // (depth * count_of * len(texts))
    whole: Bool = np.zeros(len(common), np.bool_)
    whole[step_of] = True  # a step without collectives says nothing
    whole[step_of[count < len(ranks)]] = False
    wanted = distinct[whole[step_of]]
    rows = [one[np.searchsorted(key, wanted)] for key, one in zip(keys, orders, strict=True)]
    kept = common[whole]
    return _Matched(
        steps=len(kept),
        left_out=len(seen) - len(kept),
        rows=tuple(_rows(one.number, kept) for one in ranks),
        collective=np.stack(rows),
        duration=np.stack([one.duration[row] for one, row in zip(ranks, rows, strict=True)]),
    )


def _ordinals(step: Code, name: Code, number: Int64) -> Int64:
    """The how-manieth of its step, name and number each row is, in the order of the rows."""
    if len(step) == 0:
        return np.empty(0, np.int64)
    order = np.lexsort((np.arange(len(step)), number, name, step))
    new: Bool = np.zeros(len(order), np.bool_)
    new[0] = True
    for column in (step, name, number):
        new[1:] |= np.diff(column[order]) != 0
    first = np.maximum.accumulate(np.where(new, np.arange(len(order)), 0))
    result = np.empty(len(order), np.int64)
    result[order] = np.arange(len(order)) - first
    return result


def _rows(numbers: Int64, wanted: Int64) -> Int64:
    order = np.argsort(numbers, kind="stable")
    found: Int64 = order[np.searchsorted(numbers[order], wanted)]
    return found


def _figures(
    members: Sequence[Member], numbers: Sequence[tuple[int, str]], matched: _Matched
) -> tuple[RankFigures, ...]:
    duration, steps = matched.duration, matched.steps
    ranks, collectives = duration.shape
    wait = duration - duration.min(axis=0)
    last = duration.argmin(axis=0)
    waited = wait.max(axis=0) > 0
    shortest_two = np.partition(duration, 1, axis=0)[:2]
    alone = shortest_two[1] - shortest_two[0]
    parts = [_parts(m.figures, rows) for m, rows in zip(members, matched.rows, strict=True)]
    table = np.array([list(own.values()) for own in parts])
    result = []
    for k, (member, (number, source)) in enumerate(zip(members, numbers, strict=True)):
        mine = (last == k) & waited
        own = parts[k]
        others = np.median(np.delete(table, k, axis=0), axis=0).tolist()
        result.append(
            RankFigures(
                member=member,
                rank=number,
                rank_from=source,
                steps=steps,
                collectives=collectives,
                period_ns=float(member.figures.period[matched.rows[k]].mean()),
                compute_ns=own["compute"],
                communication_ns=float(member.figures.communication[matched.rows[k]].mean()),
                idle_ns=sum(ns for name, ns in own.items() if name != "compute"),
                wait_ns=float(wait[k].sum()) / steps,
                last_share=float(mine.sum() / waited.sum()) if waited.any() else None,
                made_wait_ns=float(wait[:, mine].sum()) / (ranks - 1) / steps,
                alone_ns=float(alone[mine].sum()) / steps,
                extra={n: own[n] - median for n, median in zip(own, others, strict=True)},
            )
        )
    return tuple(result)


def _parts(one: RankSteps, rows: Int64) -> dict[str, float]:
    """Mean compute, and idle time by cause, of some steps."""
    named: Iterable[tuple[str, Int64]] = (("compute", one.compute), *one.causes.items())
    return {name: float(values[rows].mean()) for name, values in named}
