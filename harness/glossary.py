"""The words of tables, pages and messages, each in a sentence or two: `harness explain WORD`.

docs/glossary.md is made from here, with the idle causes and the verdicts, which explain themselves
where they are defined. A word that a column's head abbreviates has the head among `also`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple


class Word(NamedTuple):
    """`text` is Markdown with links relative to docs/; `also` are other names of the same thing."""

    name: str
    text: str
    also: tuple[str, ...] = ()

    @property
    def code(self) -> str:
        """What `harness explain` takes: `steady-state`."""
        return slug(self.name)


def slug(text: str) -> str:
    """A word as it is looked up: without case, unit, ending point, spaces or underlines.

    `idle µs`, `idle_ns` and `Idle` are one.
    """
    told = text.strip().strip("[]`'\"").lower().replace("_", " ").replace("-", " ")
    told = re.sub(r"(?<=\S) (ns|us|µs|ms|s|gb|bytes|share|us/step|µs/step)$", "", told)
    return "-".join(part.rstrip(".") for part in told.split())


TOPICS: dict[str, tuple[Word, ...]] = {
    "Time on the GPU": (
        Word(
            "busy",
            "At least one operation runs on the GPU, on whatever stream and of whatever process. "
            "See [the definition](definitions.md#busy-and-idle).",
        ),
        Word(
            "idle",
            "No operation runs on the GPU, within the window. Busy and idle add up to the window, "
            "to the nanosecond.",
            ("of idle", "share of idle"),
        ),
        Word(
            "gap",
            "One stretch without any operation on a GPU, from the end of the last one to the start "
            "of the next. See [the definition](definitions.md#gap).",
            ("gaps", "length", "gap count", "longest gap", "worst gap"),
        ),
        Word(
            "operation",
            "A piece of work on the GPU: a kernel, a copy, a memset, or a CUDA graph that was "
            "recorded whole.",
            ("operations", "ops", "gpu rows"),
        ),
        Word("kernel", "A function that runs on the GPU.", ("kernels",)),
        Word(
            "stream",
            "A queue of work on a GPU: what is in one stream runs in order, what is in two may run "
            "at the same time.",
            ("streams",),
        ),
        Word(
            "context",
            "What a process has on a GPU: its memory, its streams, its code. Streams of two "
            "contexts may have the same number.",
            ("context no",),
        ),
        Word(
            "window",
            "The stretch of time that is looked at: from the first GPU operation to the last, "
            "unless `--window`, `--start`, `--end` or `--steps` say otherwise. "
            "See [the definition](definitions.md#window).",
            ("all window",),
        ),
        Word(
            "communication",
            "Kernels that exchange data with other GPUs, as NCCL's do. They spin while they wait, "
            "so they are busy, and are given apart.",
            ("comm", "collectives", "collective"),
        ),
        Word(
            "extent",
            "From a stream's first operation to its last.",
        ),
        Word(
            "launch",
            "The CUDA call that hands an operation to the GPU, and what it takes. The operation "
            "starts later, when those before it in its stream are done.",
            ("launches", "api calls"),
        ),
        Word(
            "CUDA graph",
            "Work that was recorded once and is launched as a whole by one call, which saves the "
            "launches of its parts.",
            ("graph level", "graph trace"),
        ),
        Word(
            "synchronising call",
            "A CUDA call that holds the host until the GPU has finished something: a synchronise, "
            "`.item()`, `.cpu()`, a copy to memory that is not pinned. "
            "See [the definition](definitions.md#synchronising-call).",
            ("synchronise", "synchronize", "wait", "waits"),
        ),
        Word(
            "poll",
            "A wait that is made of questions: is it done yet? "
            "See [the definition](definitions.md#poll).",
            ("polling",),
        ),
        Word(
            "pinned memory",
            "Host memory that stays in its place, so that the GPU can copy to and from it while "
            "the host goes on. Copies to and from other memory, called pageable, hold the host.",
            ("pinned", "pageable", "pageable memory"),
        ),
        Word(
            "drained by",
            "The synchronising call that let the queue of the GPU run dry before a gap. Most of "
            "the idle time comes after that call, in the host's own work. "
            "See [the definition](definitions.md#drained-by).",
        ),
        Word(
            "cause",
            "What the host or the GPU was doing in an idle moment. Each moment has one cause, so "
            "that they add up. See [the definition](definitions.md#causes).",
            (
                "causes",
                "mostly",
                "mostly in",
                "meaning",
                "remedy",
                "idle cause",
                "waits mostly for",
                "what usually removes it",
            ),
        ),
        Word(
            "definition",
            "`--definitions` puts the idle time by other tools' rules beside ours. "
            "See [all of them](definitions.md#other-peoples-definitions).",
            ("difference", "definitions", "kernels only", "per stream", "over 1 ms"),
        ),
    ),
    "Steps": (
        Word(
            "step",
            "One turn of the loop, as an NVTX range marks it: `Step 7`, or what `--step` names. "
            "See [the definition](definitions.md#step-and-step-series).",
            ("steps",),
        ),
        Word(
            "series",
            "All steps of one loop: of one process, one thread and one pattern.",
            ("step series",),
        ),
        Word(
            "pattern",
            "What the names of the steps have in common: `Step *`, or a regular expression.",
        ),
        Word(
            "range",
            "A named stretch of a thread's time that the program marks, by NVTX or by torch's "
            "`record_function`.",
            ("ranges", "nvtx", "range p50"),
        ),
        Word(
            "steady state",
            "The steps without the first and the last, which begin and end the recording and are "
            "longer for that. Figures per step are of these. "
            "See [the definition](definitions.md#steady-state).",
            ("steady", "steady steps"),
        ),
        Word(
            "period",
            "From one step to the same moment of the next: what a step takes, its idle time "
            "included. It is busy + idle. The tables call it `step`.",
            ("host period", "period p50"),
        ),
        Word(
            "between",
            "Idle time in gaps whose two operations belong to different steps.",
            ("inter", "idle between"),
        ),
        Word(
            "inside",
            "Idle time in gaps whose two operations belong to the same step.",
            ("intra", "idle inside"),
        ),
        Word(
            "unassigned",
            "Idle time in gaps beside an operation that belongs to no step, or operations that do.",
        ),
        Word(
            "boundary",
            "Idle time at the edges of the window, where no operation precedes or follows.",
        ),
        Word(
            "gap kind",
            "Where a gap lies: between two steps, inside one, beside work of none, or at the "
            "window's edge.",
        ),
        Word(
            "GPU projection",
            "From the start of a step's first operation to the end of its last. Those of "
            "neighbouring steps may overlap.",
            ("gpu start", "hull overlap", "step gpu"),
        ),
        Word(
            "own edges",
            "One or two steps have no steady state: their figures run from their first operation "
            "to their last.",
        ),
        Word(
            "dead step",
            "A step that launched nothing on any GPU. It counts neither in time nor in number.",
            ("dead steps",),
        ),
        Word(
            "inferred steps",
            "Steps that no range marks, found by the launches that repeat. They are less certain.",
            ("infer steps", "inferred"),
        ),
        Word(
            "p50",
            "Half of the steps are below. p95: 95 of 100 are. p99: 99 of 100. A p95 far above the "
            "p50 says that some steps stall.",
            (
                "p95",
                "p99",
                "p10",
                "p90",
                "max",
                "min",
                "median",
                "quantile",
                "gap p50",
                "gap p95",
                "gap p99",
                "idle p50",
                "idle p95",
                "idle p99",
                "idle max",
                "range p95",
                "period p95",
                "period max",
            ),
        ),
    ),
    "What to do about it": (
        Word(
            "kind",
            "What holds the loop back, in one word: `gpu` where the GPU is the limit, else what "
            "the largest gain would remove ([kinds](definitions.md#kinds)). In a table of gaps, "
            "where the gap lies (see gap kind).",
            ("to win by", "gain kind", "kinds"),
        ),
        Word(
            "gain",
            "What a step would be shorter by if one thing were changed, found by replaying the "
            "recorded loop with that change. Gains do not add up: two changes may remove the same "
            "time. See [the definition](definitions.md#gains).",
            (
                "gains",
                "saved",
                "wins",
                "to win",
                "of step",
                "then",
                "new step",
                "takes",
                "takes now",
                "spent",
            ),
        ),
        Word(
            "replay",
            "The recorded loop, run again by arithmetic: the same launches, waits and kernels with "
            "their recorded lengths. Where it misses the recorded step, it says by how much.",
            ("replayed", "replay error"),
        ),
        Word(
            "change",
            "What is left out or done otherwise in a replay: without a wait in one place, without "
            "host time in one range, with launches as one CUDA graph. See [them](#changes).",
            ("changes",),
        ),
        Word(
            "what-if",
            "A change to the loop that a replay tries: a wait hidden, the launches of a step in "
            "one graph, faster kernels.",
            ("origin",),
        ),
        Word(
            "limiter",
            "What bounds the step, by older rules: `gpu`, `launch` (the host launches no faster), "
            "`sync` (waits let the GPU run dry) or `mixed`. The [kind](definitions.md#kinds) takes "
            "its place.",
        ),
        Word(
            "recoverable",
            "The most that hiding waits could win a step.",
            ("recov",),
        ),
        Word(
            "host time",
            "Time in which the host worked, and did not wait: Python, the framework, the calls "
            "that launch.",
            ("host", "host work"),
        ),
        Word(
            "bare",
            "Without the profiler. A recording is slower than the loop alone; where it "
            "[proves](definitions.md#as-recorded-and-bare) what it is without, all figures are "
            "that, else they are as recorded.",
            (
                "as recorded",
                "calibrated",
                "without",
                "profiled",
                "added",
                "corr idle",
                "recorded",
                "profiler adds",
                "recorder adds",
                "step without",
                "step profiled",
                "idle without",
                "idle profiled",
            ),
        ),
        Word(
            "recorder",
            "Who records a trace, and lengthens it meanwhile: `cupti-light`, `cupti-full`, `nsys`, "
            "`torch-profiler-cuda` or `torch-profiler-cpu+cuda`. A launch costs it so much (`per "
            "launch`), in its call and after it.",
            ("per launch",),
        ),
        Word(
            "bare block",
            "A few steps of a recording that nobody recorded, beside some that were: how much "
            "longer the latter are is the recorder's, whatever else the machine does.",
            ("blocks", "made bare"),
        ),
        Word(
            "missed by",
            "By what share the bare step is off, as bare blocks say that had no part in fitting "
            "what the recorder costs.",
        ),
        Word(
            "cost factor",
            "How many times what is known of a recorder it costs here.",
            ("cost x",),
        ),
        Word(
            "evidence range",
            "A range that the harness records of what Python and PyTorch do by themselves: garbage "
            "collections, compilations, batches of a DataLoader. It is never a step.",
            ("evidence", "harness evidence"),
        ),
        Word(
            "CPU time",
            "What a thread ran, without what it was blocked or waited for a core "
            "([recording](cupti.md)).",
            ("blocked",),
        ),
    ),
    "May it be believed": (
        Word(
            "verdict",
            "A doubt about figures, below the table: which ones, why, and what to do. `degraded` "
            "figures are printed, `invalid` ones are not. In a comparison: better, worse, or "
            "neither.",
            ("verdicts", "degraded", "invalid"),
        ),
        Word(
            "measured",
            "Recorded on a machine. `simulated`: worked out by a model of the GPU. `synthetic`: "
            "made up, for an example or a test.",
            ("simulated", "synthetic"),
        ),
        Word(
            "significant",
            "More than chance would do, at the confidence asked for (95% unless said).",
            ("signif", "confidence", "p value"),
        ),
        Word(
            "interval",
            "The range in which the true value lies, with the confidence asked for. Where it holds "
            "1.000x, nothing was shown to differ.",
            ("95% interval", "low", "high", "from", "to", "±"),
        ),
        Word(
            "ratio",
            "After divided by before: 0.9x is 10% less.",
            ("speed up",),
        ),
        Word("error", "By how much a model misses what was measured; or what failed."),
        Word(
            "the profiler said",
            "What the profiler itself wrote of missing events of a process.",
        ),
    ),
    "Who and where": (
        Word(
            "GPU",
            "A graphics card, by its CUDA number; `all` is several taken together.",
            ("device", "uuid", "device name", "name"),
        ),
        Word("pid", "The number of a process."),
        Word("tid", "The number of a thread."),
        Word("trace", "One recording, in a file or a folder of tables.", ("traces",)),
        Word("label", "A name that you gave, by `--label`."),
        Word(
            "strategy",
            "How a loop decodes: a name of `harness strategies` for our own loops, the trace's "
            "name for yours.",
            ("preset", "stop check", "cache", "execution", "allocator choice"),
        ),
        Word("manifest", "The JSON beside a recording, which says how it was made."),
        Word("target", "The program that is recorded."),
        Word("capture range", "What opens and closes the recording."),
        Word("step number", "The number in the name of a step; `--steps 30:50` goes by it."),
        Word("start", "When it begins, from the start of the recording."),
        Word(
            "after",
            "In a list of gaps, the operation that a gap follows. In a comparison, the "
            "second side.",
        ),
        Word(
            "before",
            "In a list of gaps, the operation that follows the gap. In a comparison, the "
            "first side.",
        ),
    ),
    "Ranks": (
        Word(
            "rank",
            "One of the processes that work together, by its number.",
            ("rank from", "ranks"),
        ),
        Word("job", "The ranks that work together, and are compared."),
        Word(
            "straggler",
            "The rank that the others wait for most. "
            "See [the definition](definitions.md#ranks-and-stragglers).",
            ("last", "others wait", "made wait"),
        ),
        Word("alone", "What the other ranks would win if this one alone came on time."),
        Word("compute", "Time busy with anything but communication."),
        Word("extra", "What a rank has more of than the others: where its lateness comes from."),
    ),
    "Bench and simulation": (
        Word("cell", "One strategy at one batch size and length.", ("cells",)),
        Word("session", "One run of `harness bench`, with all its cells.", ("status", "started")),
        Word("run", "One whole generation, timed.", ("runs", "n", "retries")),
        Word("mean", "The sum of the values by their number.", ("std",)),
        Word(
            "floor",
            "The time that the memory alone would need to read the model's weights and cache once "
            "a step: no strategy is faster.",
            ("of floor", "x floor"),
        ),
        Word(
            "tokens/s",
            "Tokens made a second, all rows of the batch together.",
            ("tokens", "batch", "executed", "kept"),
        ),
        Word(
            "reserved",
            "Memory that PyTorch took from the GPU; `allocated` is what tensors used.",
            ("allocated", "of reserved", "fragm", "fragmentation"),
        ),
        Word(
            "prepare",
            "What is done once before a run: compiling, capturing graphs.",
            ("compile", "capture", "of it compile", "of it capture"),
        ),
        Word("metric", "What is compared: a time, or a rate.", ("what", "model", "dtype")),
        Word(
            "fitted",
            "A constant of the model that was chosen so that a replay gives the recorded times.",
            ("constant",),
        ),
    ),
}


def words() -> Iterator[Word]:
    """All of them, topic by topic."""
    for topic in TOPICS.values():
        yield from topic


def word_of(text: str) -> list[Word]:
    """The words that go by this name, their own or another."""
    wanted = slug(text)
    own = [word for word in words() if word.code == wanted]
    return own + [word for word in words() if word not in own and wanted in map(slug, word.also)]
