"""Options of commands that read traces, and the question and the means that they make."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from ..errors.options import OptionsConflict
from ..param_type import ParamType
from ._paths import ANY


class Instant(ParamType):
    """A time in the report: `1.25s`, `340ms`, `900us`, or plain nanoseconds."""

    name = "TIME"
    _units = (("ns", 1), ("us", 10**3), ("µs", 10**3), ("ms", 10**6), ("s", 10**9))

    def convert(self, value: object, param: object, ctx: object) -> int:
        from decimal import Decimal, InvalidOperation

        if isinstance(value, int):
            return value
        text = str(value).strip()
        number, scale = text, 1
        for unit, factor in self._units:
            if text.endswith(unit):
                number, scale = text[: -len(unit)], factor
                break
        try:
            time = Decimal(number)
            # Compared before it is multiplied or made an integer: 1e999999999 has many digits.
            if not -(2**60) < time < 2**60 or not -(2**60) < time * scale < 2**60:
                self.fail(f"{text!r} lies beyond any trace")
            return int(time * scale)
        except (InvalidOperation, ValueError):
            self.fail(f"{text!r} is not a time; use for example 1.25s, 340ms, 900us or 1500ns")


class Memory(ParamType):
    """An amount of memory: `2GB`, `512MB`; no less than the interpreter and a chunk take."""

    name = "SIZE"
    least = 384 * 10**6

    def convert(self, value: object, param: object, ctx: object) -> int:
        from ..sizes import bytes_of, shown_bytes

        if isinstance(value, int):
            return value
        try:
            size = bytes_of(str(value))
        except ValueError as error:
            self.fail(str(error))
        if size < self.least:
            self.fail(f"{value!r} is too little; the least is {shown_bytes(self.least)}")
        return size


class StepSlice(ParamType):
    """`30:50`, `30:` or `:50`: step numbers, half-open."""

    name = "FIRST:LAST"

    def convert(self, value: object, param: object, ctx: object) -> tuple[int | None, int | None]:
        if isinstance(value, tuple):
            return value
        first, colon, last = str(value).partition(":")
        parts = [part.strip() for part in (first, last)]
        if not colon and parts[0].isdecimal() and len(parts[0]) < 19:
            number = int(parts[0])
            self.fail(
                f"{value!r} is a number, and --steps is a range; use :{number} for those below, "
                f"{number}:{number + 1} for that step alone"
            )
        if not colon or any(part and not (part.isdecimal() and len(part) < 19) for part in parts):
            self.fail(f"{value!r} is not a range of steps; use for example 30:50, 30: or :50")
        lo, hi = (int(part) if part else None for part in parts)
        if lo is not None and hi is not None and hi <= lo:
            self.fail(f"{value!r} holds no step: the end is not included")
        return lo, hi


nsys_option = click.option(
    "--nsys", type=ANY, metavar="PATH", help="The nsys that exports .nsys-rep files."
)
_STEP = click.option(
    "--step",
    "globs",
    multiple=True,
    metavar="GLOB",
    help="NVTX ranges that are steps, by wildcard: 'Step *'. Default: the harness's own 'Step N', "
    "else 'ProfilerStep#N', else those of vLLM, SGLang or TensorRT-LLM, else the outermost ranges "
    "that repeat and hold most launches, else repeats of the work; what was taken is said.",
)
recorded_option = click.option(
    "--as-recorded",
    is_flag=True,
    help="The trace as its recorder made it, though it proves what it is without one.",
)
_COMMON = [
    click.option(
        "--step-regex",
        "regexes",
        multiple=True,
        metavar="REGEX",
        help="The same by regular expression, found anywhere in the name.",
    ),
    click.option(
        "--infer-steps",
        "infer",
        is_flag=True,
        help="Whatever ranges there are: find steps from the repeating launches, or say why not.",
    ),
    click.option("--device", type=int, metavar="N", help="Only this GPU."),
    nsys_option,
    recorded_option,
]
window_option = click.option(
    "--window",
    type=click.Choice(["operations", "capture"]),
    default="operations",
    show_default=True,
    help="Count from the first GPU operation to the last, or over the whole recording.",
)
label_option = click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="NAME",
    help="Name a trace; repeat it, one for each TRACE in turn.",
)
_EDGES = [
    click.option(
        "--start", type=Instant(), help="Leave out what lies before: 1.25s, 340ms, 1500ns."
    ),
    click.option("--end", type=Instant(), help="Leave out what lies after."),
    window_option,
]
slice_option = click.option(
    "--steps",
    type=StepSlice(),
    metavar="A:B",
    help="Only steps A up to, not with, B, by the number in their name.",
)


gains_option = click.option(
    "--no-gains", is_flag=True, help="Do not replay the loop for what changes would win."
)


def edge_options(function: Callable[..., Any]) -> Any:
    """Gives a command the options that say which stretch of time."""
    for option in reversed(_EDGES):
        function = option(function)
    return function


def trace_options(*, names_steps: bool = True) -> Callable[[Callable[..., Any]], Any]:
    """Gives a command the options that say which steps and which GPU, as `question` and `means`.

    `names_steps=False` leaves out `--step` and `--steps`, for a command with its own `--step`.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        wrapped = asks(answers(function))
        for option in reversed([_STEP, *_COMMON, slice_option] if names_steps else _COMMON):
            wrapped = option(wrapped)
        return wrapped

    return decorate


_ASKED = (
    "steps",
    "start",
    "end",
    "device",
    "infer",
    "by",
    "top",
    "definitions",
    "comm",
    "as_recorded",
)


def asks(function: Callable[..., Any]) -> Any:
    """Hands a command `question` in place of the options, of those it has, that ask something."""

    @functools.wraps(function)
    def wrapped(**values: Any) -> Any:
        from ..analysis.question import Question, patterns_of

        globs, regexes = values.pop("globs", ()), values.pop("regexes", ())
        if values.get("infer") and (globs or regexes):
            raise OptionsConflict(
                "--infer-steps finds steps without ranges, --step and --step-regex name ranges"
            )
        given = {name: values.pop(name, None) for name in _ASKED}
        question = Question(
            patterns=patterns_of(globs, regexes),
            capture=values.pop("window", None) == "capture",
            all_tables=values.pop("tables", None) == "all",
            gains=not values.pop("no_gains", False),
            **{name: value for name, value in given.items() if value is not None},
        )
        return function(question=question, **values)

    return wrapped


def answers(function: Callable[..., Any]) -> Any:
    """Hands a command `means` in place of the options, of those it has, that say how to answer."""

    @functools.wraps(function)
    def wrapped(**values: Any) -> Any:
        from ..question import Means
        from ..run.exports import check_nsys

        names = ("nsys", "memory", "jobs", "dask")
        means = Means(
            cached=not values.pop("no_cache", False),
            **{name: values.pop(name) for name in names if name in values},
        )
        if means.dask is None:  # a cluster's machines have an nsys of their own
            check_nsys(means.nsys)
        return function(means=means, **values)

    return wrapped
