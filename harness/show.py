"""What `harness show` does, and the drawings of `harness gaps --plot`."""

from __future__ import annotations

import textwrap
from pathlib import Path

import click
import numpy as np
from msgspec.structs import replace

from .analysis.answer.compose import answer_of
from .analysis.answer.sentence import plain_text
from .analysis.figures.standalone import figure, png
from .analysis.figures.text import Line, Run, account, painted, sparkline, stacked, timeline
from .analysis.figures.units import human
from .analysis.model.text import plain
from .analysis.reports.answers import brief
from .analysis.reports.base import Report, Terminal
from .analysis.reports.verdict import idle_share
from .analysis.scenes.entries import Entry, entries_of
from .analysis.scenes.moments import Moment, step_moment
from .errors import Repeated
from .errors.options import UnknownEnding
from .files import refuse_existing, write_bytes
from .question import Means, Question
from .run.errors import NoGap, NoSteps
from .run.many_traces import collect
from .terminal import terminal

MOST_TIMELINES = 1
"""Timelines that `gaps --plot` draws: of the trace that idles most."""


def run_show(
    trace: str,
    question: Question,
    means: Means,
    *,
    step: int | None = None,
    gap: str | None = None,
    output: str | None = None,
    dark: bool = False,
    force: bool = False,
) -> None:
    """Draw one step of one trace: that of the number, else of the worst or the median gap.

    Raises HarnessError where there is nothing to draw.
    """
    suffix = Path(output).suffix.lower() if output else ""
    if output and suffix not in (".svg", ".png", ".txt"):
        raise UnknownEnding(
            f"{output}: no figure ends with {suffix!r}", remedy="use .svg, .png or .txt"
        )
    if output:
        refuse_existing(output, force=force, inputs=(trace,))
    report = collect((trace,), question, replace(means, rows=True))
    if report.failures:
        raise Repeated(report.failures[0].error, code=report.failures[0].code)
    entry, moment = _chosen(report, step, gap or "worst")
    view = terminal(to_file=output is not None)
    if not output:
        lines = [*step_lines(entry, moment, view.width), *answer_lines(report, view.width)]
        text = painted(lines, color=view.color)
        click.echo(text, nl=False)
        return
    if suffix == ".txt":
        lines = [*step_lines(entry, moment, view.width), *answer_lines(report, view.width)]
        data = painted(lines, color=False).encode()
    else:
        svg = figure(moment.scene, heading(entry, moment), _subtitle(entry), dark=dark)
        data = png(svg) if suffix == ".png" else svg.encode()
    write_bytes(Path(output), data, force=force)


def _chosen(report: Report, step: int | None, gap: str) -> tuple[Entry, Moment]:
    found = [e for e in entries_of(report.traces) if e.series is not None or step is None]
    if not found:
        verdicts = report.traces[0].verdicts
        why = next((v for v in verdicts if v.code in ("device-only", "host-only")), None)
        if why is None:
            why = next((v for v in verdicts), None)
        raise NoSteps(
            f"{report.traces[0].path} has no step to show" + (f": {why.reason}" if why else ""),
            remedy=why.remedy if why else None,
        )
    entry = found[0]
    if step is not None:
        assert entry.series is not None
        return entry, step_moment(entry.report, entry.series, step)
    moments = {moment.kind: moment for moment in entry.moments()}
    if gap not in moments:
        raise NoGap(f"{report.traces[0].path} has no gap between two operations")
    chosen = moments[gap]
    if chosen.step is None or entry.series is None:
        return entry, chosen
    return entry, step_moment(entry.report, entry.series, chosen.step)


def answer_lines(report: Report, width: int) -> list[Line]:
    """What `harness gaps` answers of the trace that the step is of, in short."""
    said = " ".join(plain_text(one) for one in brief(answer_of(report.traces[0])))
    return [[], [Run("The loop", "title")], *_folded(said, width)]


def heading(entry: Entry, moment: Moment) -> str:
    """`sync (synthetic): step 43`."""
    what = f"step {moment.step}" if moment.step is not None else f"the {moment.kind} gap"
    return f"{plain(entry.title)}: {what}"


def _subtitle(entry: Entry) -> str:
    source = entry.report.trace.source
    origin = {
        "simulated": "SIMULATED, not measured on a GPU",
        "synthetic": "SYNTHETIC, made up and not measured",
    }.get(entry.origin, "measured")
    device = entry.report.gaps[entry.position].device.label
    producer = f"{source.producer} {source.version}".strip()
    return plain(f"{origin} · {device} · {producer} · {entry.report.trace.path.name}")


def step_lines(entry: Entry, moment: Moment, width: int) -> list[Line]:
    """Heading, figures, timeline and account of one step."""
    lines: list[Line] = [[Run(heading(entry, moment), "title")]]
    lines += _folded(_subtitle(entry), width, "muted")
    if moment.step is not None and entry.series is not None:
        table = entry.series.table
        at = int(np.flatnonzero(table.number == moment.step)[0])
        gpu = int(table.gpu_end[at] - table.gpu_start[at])
        told = (
            f"host {human(int(table.host[at]))}, GPU {human(gpu)} of which busy "
            f"{human(int(table.busy[at]))}; idle {human(int(table.idle[at]))}: "
            f"{human(int(table.inter[at]))} before it, {human(int(table.intra[at]))} inside"
        )
        lines += _folded(told, width)
    lines.append([])
    lines += timeline(moment.scene, width)
    lines.append([])
    lines += account(moment.scene, width)
    return lines


def _folded(text: str, width: int, tone: str = "") -> list[Line]:
    return [[Run(part, tone)] for part in textwrap.wrap(text, width)]


def plot(report: Report, view: Terminal) -> str:
    """Idle bars by cause, idle time by step, and the median step of the trace that idles most."""
    found = entries_of(report.traces)
    lines: list[Line] = []
    rows = [
        (entry.title, entry.steady.causes)
        for entry in found
        if entry.steady is not None and entry.causes_believed
    ]
    if rows:
        lines += [[Run("Idle per steady-state step, by cause", "title")]]
        lines += [*stacked(rows, view.width), []]
    names = min(max((len(e.title) for e in found), default=0), view.width // 3)
    most = max((int(e.series.table.idle.max(initial=0)) for e in found if e.series), default=0)
    sparks: list[Line] = []
    for entry in found:
        if entry.steady is None or entry.series is None:
            continue
        idle = entry.series.table.idle
        worst = int(entry.series.table.number[int(idle.argmax())])
        note = f" most {human(int(idle.max()))} (step {worst})"
        name = plain(entry.title, names)
        cells = max(view.width - names - 1 - len(note), 10)
        sparks.append(
            [Run(f"{name:<{names}} "), Run(sparkline(idle, cells, most), "cause-host"), Run(note)]
        )
    if sparks:
        lines += [[Run("Idle time by step", "title")], *sparks, []]
    drawn = sorted(
        (e for e in found if e.believed and len(e.gaps)),
        key=lambda e: -idle_share(e),
    )
    for entry in drawn[:MOST_TIMELINES]:
        moments = entry.moments()
        if not moments:
            continue
        moment = moments[0]
        if moment.step is not None and entry.series is not None:
            moment = step_moment(entry.report, entry.series, moment.step)
        lines += [*step_lines(entry, moment, view.width)]
    return painted(lines, color=view.color) if lines else ""
