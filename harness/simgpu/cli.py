"""What `harness predict` does with its command line."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click
from msgspec.structs import replace

from .. import talk
from ..analysis.model.errors import PackageMissing
from ..analysis.question import AskedChange
from ..errors.options import NothingToDo, OptionsConflict, UnknownEnding, ValueOutOfRange
from ..files import refuse_existing, write_text
from ..gaps import format_of
from ..program_name import called
from ..status_line import ChangingLine
from ..terminal import terminal
from .show import FORMATS, Outcome, render


def names(text: str | None) -> tuple[str, ...]:
    """The parts of a comma-separated list, each once."""
    return tuple(dict.fromkeys(part.strip() for part in (text or "").split(",") if part.strip()))


_RECORDED = ("traced_gpu", "write_to", "without", "scale_host", "overlap")
_MODELLED = ("strategies", "batch_sizes", "model", "dtype", "prompt_length", "max_new_tokens")
_NAMES = {"strategies": "--strategy", "batch_sizes": "--batch-size"}


def run_predict(values: dict[str, Any]) -> None:
    """Predict and print. Raises HarnessError where that cannot be."""
    format_name = format_of(values["format_name"], values["output"], among=FORMATS)
    if values["output"]:
        read = (values["trace"], values["traced_gpu"], *names(values["gpus"]))
        refuse_existing(
            values["output"], force=values["force"], inputs=[name for name in read if name]
        )
    recorded = values["trace"] is not None
    misplaced = [] if recorded else [text.split()[0] for text in values["question"].typed()]
    for name in _MODELLED if recorded else _RECORDED:
        if values[name] not in (None, ()):
            misplaced.append(_NAMES.get(name, "--" + name.replace("_", "-")))
    if misplaced:
        raise OptionsConflict(
            f"{misplaced[0]} {'does not go with' if recorded else 'needs'} --from",
            remedy="a recording says itself what was run"
            if recorded
            else "add --from TRACE, or leave it out",
        )
    if not recorded and not names(values["gpus"]):
        raise NothingToDo(
            "nothing to predict", remedy="use --gpu l40s,h100, or --from TRACE for a recording"
        )
    line = ChangingLine()
    try:
        outcome = (_from_recording if recorded else _from_model)(values, line)
    finally:
        line.clear()
    text = render(outcome, format_name, terminal(to_file=values["output"] is not None))
    if values["output"]:
        write_text(Path(values["output"]), text, force=values["force"])
    else:
        click.echo(text, nl=False)


def _changes(values: dict[str, Any]) -> tuple[AskedChange, ...]:
    """What is to be played, by name."""
    factor = values["scale_host"]
    return (
        *(AskedChange("without", glob) for glob in values["without"]),
        *([AskedChange("scale", "*", factor)] if factor is not None else []),
        *(AskedChange("overlap", glob) for glob in values["overlap"]),
    )


def _from_recording(values: dict[str, Any], line: ChangingLine) -> Outcome:
    from .from_trace import Asked, predict_from

    changes = _changes(values)
    if changes:
        from .asked_changes import predict_changes

        other = [name for name in ("gpus", "traced_gpu", "write_to") if values[name]]
        if other:
            option = "--gpu" if other[0] == "gpus" else "--" + other[0].replace("_", "-")
            raise OptionsConflict(f"{option} does not go with --without, --scale-host or --overlap")
        line.show(f"reading {values['trace']}")
        return predict_changes(values["trace"], replace(values["question"], changes=changes))

    return predict_from(
        Asked(
            trace=values["trace"],
            question=values["question"],
            gpus=names(values["gpus"]),
            traced_gpu=values["traced_gpu"],
            write_to=values["write_to"],
            force=values["force"],
        ),
        line.show,
    )


def _from_model(values: dict[str, Any], line: ChangingLine) -> Outcome:
    from importlib.util import find_spec

    from ..analysis.gains.gpu import load_gpu
    from ..decode.registry import find_strategy
    from ..decode.workload import Workload

    gpus = tuple(map(load_gpu, names(values["gpus"])))  # once: a pipe can be read no second time
    fields = {
        name: values[name]
        for name in ("model", "dtype", "prompt_length", "max_new_tokens")
        if values[name] is not None
    }
    workload = Workload(eos_id=-1, steps=None, **fields)
    chosen = names(values["strategies"])
    for name in chosen:
        find_strategy(name)
    if not all(map(find_spec, ("torch", "transformers"))):
        raise PackageMissing(
            "torch and transformers are not installed",
            remedy="pip install 'nsys-harness[strategies]', or predict --from a recording",
        )
    from .grid import STRATEGIES, Grid, predict_grid

    sizes = _sizes(values["batch_sizes"] or "1,4,16,64")
    return predict_grid(Grid(gpus, sizes, chosen or STRATEGIES, workload), line.show)


def run_calibrate(values: dict[str, Any], *, workload_given: bool) -> None:
    """Fit, print, and write the file. Raises HarnessError where that cannot be."""
    output = values["output"]
    if output:
        read = (values["trace"], values["gpu"])
        refuse_existing(output, force=values["force"], inputs=[name for name in read if name])
    if output and not output.endswith(".toml"):
        raise UnknownEnding(f"{output} does not end with .toml", remedy="name the file NAME.toml")
    from .calibrate import Asked, calibrate
    from .gpu_writer import to_toml

    workload = None
    if workload_given:
        import dataclasses

        workload = dataclasses.replace(values["workload"], device="cpu")
    asked = Asked(values["trace"], values["gpu"], workload, name=values["name"])
    line = ChangingLine()
    try:
        fitted = calibrate(asked, line.show)
    finally:
        line.clear()
    click.echo(render(fitted.outcome, values["format_name"], terminal(to_file=False)), nl=False)
    if output:
        write_text(Path(output), to_toml(fitted.gpu), force=values["force"])
        # A bare name ending in .toml is a path too.
        again = shlex.join([called(), "predict", "--gpu", output])
        talk.say(f"wrote {output}\n\nNext:\n  {again}")


def _sizes(text: str) -> tuple[int, ...]:
    parts = names(text)
    if not parts or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise ValueOutOfRange(f"--batch-size is {text!r}", remedy="use for example 1,4,16,64")
    return tuple(map(int, parts))
