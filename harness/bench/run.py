"""A session: rounds over the cells, one row in the results file for every timed run."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import environment
from ..errors.options import NothingToDo
from ..manifest import now, redacted
from ..version import __version__
from . import schedule
from .errors import NothingToResume, OtherMachine, OtherPlan, VisitFailed
from .plan import Plan
from .pool import Pool, Worker
from .progress import Progress
from .store import Store, steps_to_blob

COMPLETE, RUNNING, INTERRUPTED, OUT_OF_TIME = "complete", "running", "interrupted", "out of time"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The session's id, how it ended, and the cells that could not be measured (key: reason)."""

    session: str
    status: str
    failed: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Options:
    """What does not change what is measured. `time_budget_s` counts from `began_s` (monotonic)."""

    output: Path
    resume: bool = False
    session: str | None = None
    time_budget_s: float | None = None
    bandwidth: float | None = None
    label: str | None = None
    argv: tuple[str, ...] = ()
    began_s: float = dataclasses.field(default_factory=time.monotonic)


def run(plan: Plan | None, options: Options, progress: Progress) -> Outcome:
    """Measure `plan` into a new session, or go on with an unfinished one.

    `plan` may be None where `options.resume` is set; where both are given they must agree. Ctrl-C
    ends the session as `interrupted`. Raises HarnessError where nothing can be measured.
    """
    if options.resume and not options.output.exists():
        raise NothingToResume(
            f"{options.output} does not exist, there is nothing to resume",
            remedy="name the results file with -o",
        )
    with Store.writing(options.output) as store:
        if options.resume:
            session, plan = _resumed(store, plan, options)
            progress.say(f"resuming session {session} in {options.output}")
        elif plan is None:
            raise NothingToDo("nothing to measure", remedy="use --strategy, --all or --preset")
        else:
            session = store.begin(
                plan,
                label=options.label,
                argv=list(redacted(options.argv)),
                host=environment.host_facts(),
                git=environment.git_facts(),
                harness_version=__version__,
                time_budget_s=options.time_budget_s,
                bandwidth_bytes_per_s=options.bandwidth,
            )
            progress.say(
                f"session {session}: {len(plan.cells)} cells, up to {plan.protocol.rounds} rounds"
            )
        return _Session(store, session, plan, options, progress).measure()


def _resumed(store: Store, plan: Plan | None, options: Options) -> tuple[str, Plan]:
    if options.session is not None:
        row = store.session(options.session)
    else:
        unfinished = [row for row in store.sessions() if row["status"] != COMPLETE]
        row = unfinished[-1] if unfinished else store.session()
    if row["status"] == COMPLETE:
        raise NothingToResume(
            f"session {row['id']} of {store.path} is complete, there is nothing to resume"
        )
    try:
        stored = Plan.from_json(row["plan"])
    except ValueError:
        raise NothingToResume(
            f"session {row['id']} of {store.path} has a plan that this harness cannot read",
            remedy="measure anew",
        ) from None
    if plan is not None and plan != stored:
        raise OtherPlan(f"session {row['id']} measures something else than these options ask for")
    return row["id"], stored


class _Session:
    """One session under way."""

    def __init__(
        self, store: Store, session: str, plan: Plan, options: Options, progress: Progress
    ) -> None:
        self.store, self.session, self.plan = store, session, plan
        self.options, self.progress = options, progress
        self.protocol = plan.protocol
        rows = store.rows("cells", session=session)
        self.ids = [row["id"] for row in sorted(rows, key=lambda row: row["position"])]
        position = {row["id"]: row["position"] for row in rows}
        self.failed = {row["position"]: row["error"] for row in rows if row["error"]}
        self.done: set[tuple[int, int]] = set()
        self.runs: dict[int, int] = {}
        self.cost_s: dict[int, float] = {}
        for row in store.rows("runs", session=session):
            self._count(position[row["cell"]], row["round"], self._cost_s(row))
        self.earlier = store.rows("workers", session=session)

    def measure(self) -> Outcome:
        """All rounds; the session's status is written however they end."""
        self.store.change("sessions", self.session, status=RUNNING, ended_at=None)
        status = INTERRUPTED
        device = self.plan.cells[0].workload.device
        pool = Pool(device, self.progress.show, self._worker_started)
        try:
            status = self._rounds(pool)
            pool.close()
        except KeyboardInterrupt:
            status = INTERRUPTED
        finally:
            pool.close(at_once=True)
            self.progress.clear()
            self.store.change("sessions", self.session, status=status, ended_at=now())
        failed = {self.plan.cells[k].key: why for k, why in sorted(self.failed.items())}
        return Outcome(self.session, status, failed)

    def _rounds(self, pool: Pool) -> str:
        cells = range(len(self.plan.cells))
        skipped = False
        for round_number in range(1, self.protocol.rounds + 1):
            open_cells = [k for k in cells if k not in self.failed]
            if not open_cells:
                break
            if all((k, round_number) in self.done for k in open_cells):
                continue
            left = self._left_s()
            picked = schedule.chosen(
                open_cells, self.runs, self.cost_s, self.protocol, round_number, left
            )
            skipped |= len(picked) < len(open_cells)
            if left is not None and left <= 0:
                break
            if not picked:
                continue
            self._clocks(round_number)
            began, made = time.monotonic(), 0
            for place, k in enumerate(schedule.order(len(cells), self.protocol.seed, round_number)):
                if k not in picked or k in self.failed or (k, round_number) in self.done:
                    continue
                left = self._left_s()
                if left is not None and left <= self.cost_s.get(k, 0.0):
                    skipped = True
                    if left <= 0:
                        return OUT_OF_TIME
                    continue
                name = self.plan.cells[k].key
                self.progress.show(
                    f"round {round_number}/{self.protocol.rounds}, {made + 1}/{len(picked)}: {name}"
                )
                self._visit(pool, k, round_number, place)
                made += (k, round_number) in self.done
            if made:
                self.progress.say(
                    f"round {round_number}/{self.protocol.rounds}: {made} runs in "
                    f"{time.monotonic() - began:.1f} s"
                )
        self._clocks(self.protocol.rounds + 1)
        return OUT_OF_TIME if skipped else COMPLETE

    def _visit(self, pool: Pool, k: int, round_number: int, place: int) -> None:
        cell = self.plan.cells[k]
        began_at, began = now(), time.monotonic_ns()
        try:
            found, worker = pool.visit(cell, self.protocol)
        except VisitFailed as error:
            self.failed[k] = str(error)
            self.store.change("cells", self.ids[k], error=str(error))
            self.progress.say(f"{cell.key}: not measured: {error}", failed=True)
            return
        run = found["run"]
        made = {key: found[key] for key in ("prepare_ns", "compile_ns", "capture_ns", "stable")}
        made["warmup_ns"] = json.dumps(found["warmup_ns"])
        made["visit_ns"] = time.monotonic_ns() - began
        self.store.add(
            "runs",
            session=self.session,
            cell=self.ids[k],
            worker=worker,
            round=round_number,
            place=place,
            started_at=began_at,
            steps_ns=steps_to_blob(run.pop("steps_ns")),
            **run,
            **made,
        )
        if found["floor_work"] is not None and k not in self.runs:
            self.store.change("cells", self.ids[k], floor_work=json.dumps(found["floor_work"]))
        self._count(k, round_number, self._cost_s(made))

    def _count(self, k: int, round_number: int, cost_s: float) -> None:
        self.done.add((k, round_number))
        self.runs[k] = self.runs.get(k, 0) + 1
        self.cost_s[k] = min(cost_s, self.cost_s.get(k, cost_s))

    def _cost_s(self, row: Mapping[str, Any]) -> float:
        """What another visit like this one costs: without what only a first visit does."""
        once = sum(json.loads(row["warmup_ns"])[self.protocol.warmup_runs :])
        cost_ns: int = row["visit_ns"] - row["compile_ns"] - row["capture_ns"] - once
        return cost_ns / 1e9

    def _worker_started(self, worker: Worker) -> int:
        facts = worker.facts
        for row in self.earlier:
            before = json.loads(row["device"]), json.loads(row["versions"])
            if before != (facts["device"], facts["versions"]):
                raise OtherMachine(
                    f"session {self.session} was begun on another machine or other versions"
                )
        return self.store.add(
            "workers",
            session=self.session,
            allocator=worker.allocator,
            started_at=now(),
            pid=facts["pid"],
            device=facts["device"],
            versions=facts["versions"],
            environment=facts["environment"],
            threads=facts["threads"],
            start_ns=worker.start_ns,
        )

    def _left_s(self) -> float | None:
        budget = self.options.time_budget_s
        return None if budget is None else self.options.began_s + budget - time.monotonic()

    def _clocks(self, round_number: int) -> None:
        gpus = environment.gpu_facts() if environment.has_gpu() else environment.GpuFacts()
        self.store.add(
            "clocks",
            session=self.session,
            round=round_number,
            at=now(),
            gpus=gpus.to_dict(),
            load_average=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        )
