"""When which context had a GPU, and whose it was: the rows of `nsys profile --gpuctxsw=true`.

They tell of every process on the GPU, also of those in other containers, and call contexts by the
hardware's numbers. Inside a container `globalPid` may be the host's, which no kernel has: then the
operations tell whose a context is, because work starts only while its context has the GPU.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..model.arrays import Code, factorize, groups
from ..model.intervals import Int64
from ..model.schema import NULL, PID_MASK, Columns, Switch, pid_of
from .rules import sane

OWN = 0.1
"""Share of a process's operations on a GPU that start while a context has it, from which that
context is the process's: it may have several, one for each priority of its streams. In the time of
another's none start, but for the few that clocks put on the wrong side of a switch."""

Pairs = set[tuple[int, int]]
"""(context, process)."""


class Residency:
    """Stretches for which a context had a GPU, by context. Arrays have shape (stretches,)."""

    def __init__(self, switches: Columns, gpus: Mapping[int | None, int]) -> None:
        """`switches`: the rows of `schema.CONTEXT_SWITCH`; `gpus`: see `devices.Gpus.by_id`."""
        gpu, ids = factorize(switches["gpuId"])
        table = np.array([gpus.get(gpu_id, -1) for gpu_id in ids.tolist()], np.int32)
        device = table[gpu] if len(table) else gpu
        keep = sane(switches["timestamp"]) & (switches["contextId"] != NULL) & (device >= 0)
        rows = {name: column[keep] for name, column in switches.items()}
        device, time = device[keep], rows["timestamp"]
        hardware, numbers = factorize(rows["contextId"])
        context, distinct = factorize(device.astype(np.int64) * len(numbers) + hardware)
        self.numbers: list[tuple[int, int]] = [
            (key // len(numbers), int(numbers[key % len(numbers)])) for key in distinct.tolist()
        ]
        """Of each context: its device, and the hardware's number."""
        self._named = _named(context, rows["globalPid"] & PID_MASK)
        order = np.lexsort((rows["seqNo"], time, context))
        self.start, self.end, self.context = _stretches(
            rows["tag"][order], time[order], rows["seqNo"][order], context[order], device[order]
        )
        self.device: Code = table[:0]
        if len(self.start):
            self.device = np.array([of for of, _ in self.numbers], np.int32)[self.context]

    def __len__(self) -> int:
        return len(self.start)

    def named(self, users: Mapping[tuple[int, int], int], pids: Int64, contexts: Columns) -> Pairs:
        """Whose a context is by the rows themselves, and by those of `schema.CUDA_CONTEXT`.

        `users`: (globalPid, CUDA ordinal) of all operations to the device that is meant; `pids`:
        the globalPid of each process.
        """
        place = {pid: k for k, pid in enumerate(pids.tolist())}
        working = {(pid, device) for (pid, _), device in users.items()}
        found = {
            (context, place[pid])
            for context, pid in self._named
            if (pid, self.numbers[context][0]) in working
        }
        meant = {(pid_of(pid), ordinal): (pid, gpu) for (pid, ordinal), gpu in users.items()}
        known = {number: context for context, number in enumerate(self.numbers)}
        columns = (contexts[name].tolist() for name in ("hwId", "processId", "deviceId"))
        for hardware, process, ordinal in zip(*columns, strict=True):
            pid, device = meant.get((process, ordinal), (0, -1))
            # Most exports hold 0, which says nothing.
            if hardware > 0 and (device, hardware) in known:
                found.add((known[device, hardware], place[pid]))
        return self.of_one_process(found)

    def of_one_process(self, pairs: Pairs) -> Pairs:
        """These, and all contexts with a globalPid of one of theirs: whoever it is, the contexts
        that share one are of one process. 0 and NULL are nobody's."""
        owners: dict[int, Pairs] = {}
        for context, pid in self._named:
            if pid_of(pid):
                owners.setdefault(pid, set()).update(p for p in pairs if p[0] == context)
        return pairs | {
            (context, process) for context, pid in self._named for _, process in owners.get(pid, ())
        }


def _named(context: Code, pid: Int64) -> list[tuple[int, int]]:
    """Each context with each globalPid that its rows name."""
    process, pids = factorize(pid)
    pairs = np.unique(context.astype(np.int64) * len(pids) + process)
    return [(key // len(pids), int(pids[key % len(pids)])) for key in pairs.tolist()]


def _stretches(
    tag: Int64, time: Int64, number: Int64, context: Code, device: Code
) -> tuple[Int64, Int64, Code]:
    """From the BEGIN of each context to its END behind it, in rows sorted by context, time and
    number.

    A BEGIN that another of its context follows lost its END, and nobody knows how long it was. The
    last one of a context lasts until another context's BEGIN, since a GPU has one at a time; at
    most until the GPU's last switch.
    """
    last = np.full(int(device.max(initial=-1)) + 1, NULL, np.int64)
    np.maximum.at(last, device, time)
    until = last[device]
    begins = np.flatnonzero(tag == Switch.BEGIN)
    begins = begins[np.lexsort((number[begins], time[begins], device[begins]))]
    before, behind = begins[:-1], begins[1:]
    on_one = device[before] == device[behind]
    until[before[on_one]] = time[behind[on_one]]
    follows = np.append(context[1:] == context[:-1], False)[: len(context)]
    ended = follows & np.append(tag[1:] == Switch.END, False)[: len(tag)]
    end = np.where(ended, np.append(time[1:], 0)[: len(time)], until)
    rows = np.flatnonzero((tag == Switch.BEGIN) & (ended | ~follows) & (end > time))
    return time[rows], end[rows], context[rows]


class OwnContexts:
    """Counts what starts in each context's time, in any number of parts."""

    def __init__(self, residency: Residency, named: Pairs) -> None:
        self._named, self._residency = named, residency
        self._started: dict[tuple[int, int], int] = {}
        self._all: dict[tuple[int, int], int] = {}
        self._device_of = [device for device, _ in residency.numbers]
        nameless = set(range(len(self._device_of))) - {context for context, _ in named}
        asking = {self._device_of[context] for context in nameless}
        self._stretches: dict[int, tuple[Int64, Int64, Code]] = {}
        for device, mine in groups(residency.device):
            if device in asking:
                rows = mine[np.argsort(residency.start[mine], kind="stable")]
                columns = residency.start[rows], residency.end[rows], residency.context[rows]
                self._stretches[device] = columns

    def see(self, process: Code, device: Code, start: Int64) -> None:
        """Operations, one by one."""
        for of, (begin, end, context) in self._stretches.items():
            mine = np.flatnonzero(device == of)
            _count(self._all, np.full(len(mine), of), process[mine])
            # The context that was switched in last: stretches overlap where rows were lost.
            at = np.searchsorted(begin, start[mine], side="right") - 1
            inside = at >= 0
            inside[inside] = end[at[inside]] > start[mine[inside]]
            _count(self._started, context[at[inside]], process[mine[inside]])

    def pairs(self) -> Pairs:
        """Each context of a recorded process with that process."""
        found = set(self._named)
        settled = {context for context, _ in found}
        for (context, process), count in self._started.items():
            if (
                context not in settled
                and count >= OWN * self._all[self._device_of[context], process]
            ):
                found.add((context, process))
        return self._residency.of_one_process(found)


def _count(counts: dict[tuple[int, int], int], first: Int64 | Code, second: Code) -> None:
    """Add how often each pair occurs."""
    if len(first) == 0:
        return
    a, firsts = factorize(first.astype(np.int64))
    b, seconds = factorize(second.astype(np.int64))
    keys, times = np.unique(a.astype(np.int64) * len(seconds) + b, return_counts=True)
    for key, n in zip(keys.tolist(), times.tolist(), strict=True):
        pair = int(firsts[key // len(seconds)]), int(seconds[key % len(seconds)])
        counts[pair] = counts.get(pair, 0) + n
