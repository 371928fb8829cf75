"""From the command line's values to a plan, and from an outcome to an exit code."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from ..decode.registry import strategy_names
from ..decode.workload import Workload
from ..errors.options import NothingToDo, OptionsConflict, ValueOutOfRange
from .cells import product
from .plan import Plan, Protocol, Section, presets
from .progress import Progress
from .run import INTERRUPTED, OUT_OF_TIME, Outcome

_WHAT = (
    "model", "device", "dtype", "prompt_length", "prompt_tokens", "temperature", "eos_id",
    "force_eos_at", "every_k", "lag", "seed",
)  # fmt: skip

_OF_A_SESSION = {
    *_WHAT, "batch_size", "max_seqlen", "rounds", "min_runs", "warmup", "bandwidth", "label",
}  # fmt: skip
"""What a session has decided when it is gone on with."""


def plan_of(values: Mapping[str, Any], given: Collection[str] = ()) -> Plan | None:
    """The plan that options ask for; None for a bare --resume. Raises UsageError.

    `given` names the options that the user wrote.
    """
    names = [part.strip() for text in values["strategies"] for part in text.split(",")]
    asked = [bool(names), values["every"], values["preset"] is not None]
    if sum(asked) > 1:
        raise OptionsConflict("--strategy, --all and --preset exclude each other")
    if values["session"] and not values["resume"]:
        raise OptionsConflict("--session is for --resume", remedy="add --resume, or leave it out")
    if not any(asked):
        if values["resume"]:
            if unread := sorted(_OF_A_SESSION & set(given)):
                option = unread[0].replace("_", "-")
                raise OptionsConflict(
                    f"--{option} is part of the session, --resume takes its own",
                    remedy="leave it out, or measure anew",
                )
            return None
        raise NothingToDo(
            "nothing to measure",
            remedy="use --strategy NAME,..., --all, --preset article, or --resume",
        )
    # A floor of negative time, and a number that no column holds.
    for name, least, most in (("bandwidth", 0, math.inf), ("seed", -(2**63), 2**63)):
        value = values[name]
        if value is not None and not least < value < most:
            raise ValueOutOfRange(
                f"--{name} is {value}", remedy=f"use more than {least}, less than {most}"
            )
    fixed = {"batch_size", "max_seqlen"} & set(given)
    if values["preset"] and fixed:
        option = min(fixed).replace("_", "-")
        raise OptionsConflict(
            f"--preset {values['preset']} decides --{option} itself",
            remedy="leave it out, or name strategies instead",
        )
    base = Workload(steps=None, **{name: values[name] for name in _WHAT})
    protocol = Protocol(
        rounds=values["rounds"],
        least_runs=min(values["min_runs"], values["rounds"]),
        warmup_runs=values["warmup"],
        warmup_most=max(values["warmup"], Protocol.warmup_most),
        seed=values["seed"],
    )
    if values["preset"]:
        cells, sections = presets()[values["preset"]].make(base)
        return Plan(cells, sections, protocol, values["preset"])
    if values["every"]:
        names = list(strategy_names())
    cells = product(names, values["batch_size"], values["max_seqlen"], base)
    keys = tuple(cell.key for cell in cells)
    several = len({cell.name for cell in cells}) > 1
    ranking = Section("Ranking", "ranking", keys, against=cells[0].name)
    sections = (Section("Results", "tables", keys), *([ranking] if several else []))
    return Plan(cells, sections, protocol)


def exit_code(outcome: Outcome, progress: Progress) -> int:
    """0; 1 where a cell failed that could have run here; 130 after Ctrl-C. Says how to go on."""
    if outcome.status in (INTERRUPTED, OUT_OF_TIME):
        progress.say(f"{outcome.status}: --resume goes on with session {outcome.session}")
    if outcome.status == INTERRUPTED:
        return 130
    broken = [key for key, why in outcome.failed.items() if " cannot run here: " not in why]
    return 1 if broken else 0
