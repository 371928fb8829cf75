"""Option families shared by commands: one decorator each, click only.

The workload family hands its command one `workload` argument, so that no command repeats it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from .decode import registry
from .decode.workload import DEVICES, DTYPES, Workload
from .param_type import ParamType


class StepWindow(ParamType):
    """`30:50` is the half-open window [30, 50); `none` records nothing."""

    name = "FIRST:LAST"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, int] | None:
        if isinstance(value, tuple):
            return value
        if value == "none":
            return None
        first, colon, last = str(value).partition(":")
        if not colon or not all(part.isdecimal() and len(part) < 19 for part in (first, last)):
            hint = "; how many are run is --max-new-tokens" if str(value).isdecimal() else ""
            said = f"{value!r} is not a window; use FIRST:LAST, for example 30:50, or none"
            self.fail(said + hint)
        return int(first), int(last)


class TokenIds(ParamType):
    """`464,3290,318`: token ids of one prompt row."""

    name = "ID,ID,..."

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        parts = [part.strip() for part in str(value).split(",")]
        if not all(part.isdecimal() and len(part) < 19 for part in parts):
            self.fail(f"{value!r} is not a list of token ids; use for example 464,3290,318")
        return tuple(map(int, parts))


def _choice(kind: str) -> click.Choice[str]:
    return click.Choice(registry.choice_names(kind))


strategy_option = click.option(
    "--strategy",
    type=click.Choice(registry.strategy_names()),
    metavar="NAME",
    help="A decode strategy; `harness strategies` lists them.",
)

strategies_option = click.option(
    "--strategy",
    "strategies",
    type=click.Choice(registry.strategy_names()),
    metavar="NAME",
    multiple=True,
    help="A decode strategy, repeat it for several; `harness strategies` lists them.",
)

_WORKLOAD = [
    click.option("--cache", type=_choice("cache"), help="Override the strategy's cache."),
    click.option("--execution", type=_choice("execution"), help="Override how a step is launched."),
    click.option("--stop-check", type=_choice("stop_check"), help="Override the stop check."),
    click.option("--allocator", type=_choice("allocator"), help="Override the CUDA allocator."),
    click.option(
        "--model",
        default=Workload.model,
        show_default=True,
        metavar="NAME|PATH",
        help="A built-in configuration with random weights (gpt2, tiny, llama-tiny, "
        "qwen-tiny, qwen2-tiny), a local folder, or a hub id.",
    ),
    click.option(
        "--device", type=click.Choice(DEVICES), default=Workload.device, show_default=True
    ),
    click.option("--dtype", type=click.Choice(DTYPES), default=Workload.dtype, show_default=True),
    click.option("--batch-size", type=int, default=Workload.batch_size, show_default=True),
    click.option(
        "--prompt-length",
        type=int,
        default=Workload.prompt_length,
        show_default=True,
        help="Length of the random prompt, in tokens.",
    ),
    click.option("--prompt-tokens", type=TokenIds(), help="Prompt as token ids, for every row."),
    click.option("--max-new-tokens", type=int, default=Workload.max_new_tokens, show_default=True),
    click.option(
        "--temperature",
        type=float,
        default=Workload.temperature,
        show_default=True,
        help="0 is greedy.",
    ),
    click.option(
        "--eos-id", type=int, help="End-of-sequence token; -1 for none. Default: the model's."
    ),
    click.option(
        "--force-eos-at",
        metavar="STEP[,STEP...]",
        help="Force the end of sequence: one step for all rows, or one a row (1,7,99,never).",
    ),
    click.option("--seed", type=int, default=Workload.seed, show_default=True),
    click.option(
        "--steps",
        type=StepWindow(),
        default=Workload.steps,
        show_default="30:50",
        help="Steps to record, LAST not included; none records nothing.",
    ),
    click.option(
        "--every-k",
        type=int,
        default=Workload.every_k,
        show_default=True,
        help="Distance of the every-k stop check, in steps.",
    ),
    click.option(
        "--lag",
        type=int,
        default=Workload.lag,
        show_default=True,
        help="Depth of the deferred stop check, in steps.",
    ),
    click.option(
        "--warmup-steps",
        type=int,
        default=Workload.warmup_steps,
        show_default=True,
        help="Steps generated, and thrown away, before the run.",
    ),
]

_WORKLOAD_NAMES = tuple(name for name in Workload.__dataclass_fields__ if name != "strategy")


def workload_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the workload family; the command gets one argument, `workload: Workload`.

    A single `strategy` (from `strategy_option`) is folded in; `strategies` stays the command's own:
    use `dataclasses.replace(workload, strategy=name)` for each.
    """

    @functools.wraps(command)
    def wrapped(*args: Any, **values: Any) -> Any:
        fields = {name: values.pop(name) for name in _WORKLOAD_NAMES}
        if "strategy" in values:
            fields["strategy"] = values.pop("strategy")
        return command(*args, workload=Workload(**fields), **values)

    for option in reversed(_WORKLOAD):
        wrapped = option(wrapped)
    return wrapped
