"""What to generate: one frozen record that the parent hands to the child as argv, and stores.

Torch-free on purpose: the command line, the manifest and the recording parent import it.
"""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

from ..errors.options import UnknownChoice, ValueOutOfRange
from .errors import BadForcedEos, WindowOutsideRun

DEVICES = ("auto", "cpu", "cuda")
DTYPES = ("float32", "bfloat16", "float16")
CHOICES = ("cache", "execution", "stop_check", "allocator")


@dataclasses.dataclass(frozen=True)
class Workload:
    """One generation run: a strategy, the model, the prompt, and the window to record.

    `strategy` names a preset, or is None when the four choices say everything. `cache`,
    `execution`, `stop_check` and `allocator` override the preset where they are not None.
    Step N (from 0) produces new token N; step 0 is the prefill. `steps` is the half-open window
    [first, last) that is recorded, None records nothing. `prompt_tokens` is one row, repeated for
    each of the `batch_size` rows; without it, random tokens of `prompt_length` are drawn from
    `seed`, a different row for each sequence. `temperature` 0 is greedy. `eos_id` None takes the
    model's own, -1 switches the end of sequence off. `force_eos_at` is described by
    `eos_schedule`. `every_k` is the distance of the every-k check and `lag` the depth of the
    deferred one, in steps.

    Raises UsageError when a value makes no sense, or values contradict each other.
    """

    strategy: str | None = None
    cache: str | None = None
    execution: str | None = None
    stop_check: str | None = None
    allocator: str | None = None
    model: str = "gpt2"
    device: str = "auto"
    dtype: str = "float32"
    batch_size: int = 16
    prompt_length: int = 16
    prompt_tokens: tuple[int, ...] | None = None
    max_new_tokens: int = 100
    temperature: float = 0.0
    eos_id: int | None = None
    force_eos_at: str | None = None
    seed: int = 0
    steps: tuple[int, int] | None = (30, 50)
    every_k: int = 8
    lag: int = 1
    warmup_steps: int = 8

    def __post_init__(self) -> None:
        for name in ("batch_size", "prompt_length", "max_new_tokens", "every_k", "lag"):
            if getattr(self, name) < 1:
                raise ValueOutOfRange(
                    f"--{name.replace('_', '-')} is {getattr(self, name)}",
                    remedy="it must be at least 1",
                )
        if self.warmup_steps < 0:
            raise ValueOutOfRange(
                f"--warmup-steps is {self.warmup_steps}", remedy="0 is none, or > 0"
            )
        if self.prompt_tokens is not None and not self.prompt_tokens:
            raise ValueOutOfRange("--prompt-tokens is empty", remedy="give at least one token id")
        check_among("dtype", self.dtype, DTYPES)
        if not 0 <= self.temperature < math.inf:
            raise ValueOutOfRange(
                f"--temperature is {self.temperature}", remedy="0 is greedy, or > 0"
            )
        if self.steps is not None:
            first, last = self.steps
            if not 0 <= first < last <= self.max_new_tokens:
                raise WindowOutsideRun(
                    f"--steps {first}:{last} does not lie within the {self.max_new_tokens} "
                    "steps of --max-new-tokens",
                    remedy=f"use for example --steps 0:{self.max_new_tokens}",
                )
        eos_schedule(self)

    def to_argv(self) -> list[str]:
        """The options that rebuild this workload; what equals its default is left out."""
        argv = []
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value == field.default:
                continue
            if field.name == "steps":
                value = "none" if value is None else f"{value[0]}:{value[1]}"
            elif field.name == "prompt_tokens":
                value = ",".join(map(str, value))
            # One word with "=": a value may begin with a dash (--eos-id=-1).
            argv.append(f"--{field.name.replace('_', '-')}={value}")
        return argv

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a manifest; `from_dict` reverses it."""
        plain: dict[str, Any] = json.loads(self.to_json())
        return plain

    def to_json(self) -> str:
        """One line of JSON; `from_json` reverses it."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Workload:
        """Rebuild from `to_dict`; unknown keys (a newer version's) are left out."""
        known = {field.name for field in dataclasses.fields(cls)}
        kept = {name: value for name, value in values.items() if name in known}
        for name in ("steps", "prompt_tokens"):
            if kept.get(name) is not None:
                kept[name] = tuple(kept[name])
        return cls(**kept)

    @classmethod
    def from_json(cls, text: str) -> Workload:
        """Rebuild from `to_json`."""
        return cls.from_dict(json.loads(text))


def check_among(name: str, value: str, known: tuple[str, ...]) -> None:
    """Raise UsageError where the value of option `name` is none of those known."""
    if value not in known:
        raise UnknownChoice(f"--{name} is {value!r}", remedy=f"use {', '.join(known)}")


def eos_schedule(workload: Workload) -> tuple[int | None, ...] | None:
    """The step at which each row is forced to end, or None where nothing is forced.

    `force_eos_at` is "5" (every row at step 5) or one entry a row: "1,7,99,never".
    Raises UsageError where an entry is no step of the run or the rows do not match.
    """
    text = workload.force_eos_at
    if text is None:
        return None
    entries = [entry.strip() for entry in text.split(",")]
    if len(entries) == 1:
        entries *= workload.batch_size
    if len(entries) != workload.batch_size:
        raise BadForcedEos(
            f"--force-eos-at names {len(entries)} rows, the batch has {workload.batch_size}",
            remedy="give one step for all rows, or one for each",
        )
    schedule: list[int | None] = []
    for entry in entries:
        if entry == "never":
            schedule.append(None)
        elif entry.isdecimal() and int(entry) < workload.max_new_tokens:
            schedule.append(int(entry))
        else:
            raise BadForcedEos(
                f"--force-eos-at has {entry!r}",
                remedy=f"use a step from 0 to {workload.max_new_tokens - 1}, or never",
            )
    if workload.eos_id == -1 and any(entry is not None for entry in schedule):
        raise BadForcedEos("--force-eos-at with --eos-id -1: there is no token to force")
    return tuple(schedule)
