"""Every code that a verdict may have: when it applies, and what to do."""

from __future__ import annotations

from msgspec import Struct

from ..model.verdict import Code


class Explained(Struct, frozen=True):
    """`when` a verdict applies, in one sentence, and what it means and asks for."""

    when: str
    meaning: str


CODES: dict[Code, Explained] = {}
"""All of them, in the order of the troubleshooting page."""


def _code(text: str, when: str, meaning: str) -> Code:
    code = Code(text)
    CODES[code] = Explained(when, meaning)
    return code


HOST_ONLY = _code(
    "host-only",
    "There are no GPU operations.",
    "The recording has no GPU side: no GPU was used, or it was not traced. Step times on the "
    "host are given if there are steps. Record with `--trace=cuda` where the GPU is; "
    "torch.profiler needs ProfilerActivity.CUDA (or XPU, MTIA, ...) beside CPU.",
)
DEVICE_ONLY = _code(
    "device-only",
    "No range is a step, or none can be used, and no repeat of the work is sure to be one: figures "
    "are of the whole window.",
    "The message says why, and names the commonest ranges: choose with `--step`. Unasked, repeats "
    "of the work are looked for in traces that are not large; `--infer-steps` asks for them. If "
    "there are no ranges at all, mark the steps, and see `harness doctor` for the pair of nvtx "
    "and nsys. If none of the ranges can be used, their times are wrong: record again.",
)
GPU_ROWS_MISSING = _code(
    "gpu-rows-missing",
    "The program called CUDA, and not one GPU operation was recorded.",
    "It is not idle time: the profiler's CUPTI is too old for the driver, or something else "
    "held CUPTI. Use a newer nsys, or `--capture cupti`. torch.profiler needs "
    "ProfilerActivity.CUDA beside CPU, and a warm-up.",
)
GPU_ROWS_UNUSABLE = _code(
    "gpu-rows-unusable",
    "There are GPU operations, and not one of them has times that can be.",
    "What is wrong with them, and how often, is said. The profiler's CUPTI does not match the "
    "driver, or the file was changed. Record again.",
)
EMPTY_WINDOW = _code(
    "empty-window",
    "There is no operation in the chosen window.",
    "`--start`, `--end` or `--steps` cut everything away. Widen them.",
)
LAUNCHES_WITHOUT_GPU_ROWS = _code(
    "launches-without-gpu-rows",
    "Kernel or graph launches left no operation.",
    "Records were lost, and would show as idle. Failed launches, launches under stream "
    "capture, repeated API rows and launches still queued at the end do not count. From 1% on "
    "the figures are invalid. Record a shorter window; if it stays, the profiler's CUPTI and "
    "the driver do not match.",
)
PROCESS_NOT_RECORDED = _code(
    "process-not-recorded",
    "A process launched work, and none of it was recorded, while that of others was.",
    "The figures are those of the others; where the machine has one GPU alone, they are invalid. "
    "Profilers follow a process from its start: a worker that was forked by a process that had "
    "begun already is missed. Start workers by spawn, or record with "
    "`--trace-fork-before-exec=true`; torch.profiler has to be started in each process.",
)
STEPS_ELSEWHERE = _code(
    "steps-elsewhere",
    "The steps are ranges of one process, and another launches all the work.",
    "A server and its workers are such. Choose ranges of the process that launches, or mark the "
    "steps there.",
)
OPERATIONS_MISSING = _code(
    "operations-missing",
    "Ten calls for copies (or memsets) left none, or five where others left some, and a fifth of "
    "all.",
    "Rows were lost, or a filter left them out. A call of no bytes, or from host to host, "
    "leaves none, so the figures are only doubted; one that returns within a microsecond, or "
    "in less than three quarters of the time of the quickest of ten or more calls of its name that "
    "left one, has queued nothing, and does not count. "
    "Export or record again.",
)
CALLS_MISSING = _code(
    "calls-missing",
    "Steps that used equally many correlation ids lack CUDA calls that most of them hold.",
    "Every call takes the next id, so rows of calls were lost, and with them what they launched. "
    "Applies from 1% of the calls of the steps compared on. Without steps, what "
    "lies between the waits of a thread is compared. Record a shorter window.",
)
GRAPH_NODES_MISSING = _code(
    "graph-nodes-missing",
    "A launch of a CUDA graph lacks nodes that ran in other launches of that graph.",
    "A launch runs all nodes of its graph, so rows were lost, and would show as idle. Graphs that "
    "the program updates, graphs with conditional nodes, the first and last launch on each stream, "
    "and launches that a pause of the recording cut in two do not count. From 1% of the nodes on "
    "the figures are invalid. Record a shorter window, or graphs as a whole "
    "(`--cuda-graph-trace=graph`).",
)
STREAM_OVERLAP = _code(
    "stream-overlap",
    "Operations of one stream overlap for 1% of their time or more.",
    "A stream runs one operation after the other, so ends or starts are wrong, and with them busy "
    "and idle time. Kernels that are launched with attributes may begin before the one ahead has "
    "ended (programmatic dependent launch), and nodes of one graph launch may run at once: they "
    "do not count. Record again.",
)
OPERATIONS_BEFORE_LAUNCH = _code(
    "operations-before-launch",
    "GPU operations begin more than 1 ms before the call that launched them.",
    "No clock is that wrong for a few rows alone: their times are wrong, or the ids that join them "
    "to their launches. From 1% of the operations, or of the window, on the figures are invalid. "
    "Record again.",
)
CAPTURE_DROPPED = _code(
    "capture-dropped",
    "CUPTI dropped activity records.",
    "The recorder counted what it lost. Record a shorter window.",
)
CAPTURE_ZERO_TIMESTAMPS = _code(
    "capture-zero-timestamps",
    "GPU operations came without times.",
    "The recorder counted them. Record a shorter window.",
)
CAPTURE_BROKEN_BUFFERS = _code(
    "capture-broken-buffers",
    "Buffers of activity records could not be read to their end.",
    "The recorder counted them. Record a shorter window.",
)
CAPTURE_STOP_RESULT = _code(
    "capture-stop-result",
    "CUPTI gave an error when it was asked for its last records.",
    "The end of the recording is missing. Record a shorter window.",
)
RANGES_LOST = _code(
    "ranges-lost",
    "The target issued more NVTX ranges than were recorded.",
    "Steps may be missing. Most often it is nvtx 0.2.12 or newer under an nsys before 2024: "
    "`pip install 'nvtx<0.2.12'`.",
)
ROWS_DROPPED = _code(
    "rows-dropped",
    "GPU rows without a length or a time were left out.",
    "A handful does not matter.",
)
RANGES_DROPPED = _code(
    "ranges-dropped",
    "NVTX ranges that end before they start, or have no time that can be, were left out.",
    "So are steps among them. A handful does not matter, unless a step is missing that you "
    "look for.",
)
IMPOSSIBLE_CALLS = _code(
    "impossible-calls",
    "CUDA calls end before they start, or have no time that can be.",
    "How long they held the host is not known, so neither is what the GPU waited for. Idle "
    "time is right. From 1% of all calls on, causes are invalid. Record again.",
)
WRONG_DEVICE = _code(
    "wrong-device",
    "GPU operations name another device than nearly all others of their CUDA context.",
    "A context belongs to one device. Work is missing on that one, and shows on another. From 1% "
    "of all operations on the figures are invalid. Record again.",
)
NAMES_MISSING = _code(
    "names-missing",
    "Calls, kernels or ranges have names that the export does not hold.",
    "Its table of texts (`StringIds`) was lost or cut. Export the report again.",
)
DEVICE_IDENTITY = _code(
    "device-identity",
    "Several processes name one GPU number, and the export knows no UUID.",
    "They may be two GPUs taken for one. Look at one rank at a time, or export with a newer nsys.",
)
GRAPH_LEVEL = _code(
    "graph-level",
    "CUDA graphs were recorded as one interval each.",
    "Gaps inside them count as busy. That is good for times; for causes record with "
    "`--graph-trace node`.",
)
PROFILER_OVERHEAD = _code(
    "profiler-overhead",
    "The profiler itself worked for 5% of the window or more.",
    "Record fewer steps, or trace less.",
)
PROFILER_DIAGNOSTICS = _code(
    "profiler-diagnostics",
    "The profiler reported errors or warnings of its own while it recorded.",
    "What it says may be missing is missing. Read its words, mend that, and record again.",
)
LAUNCHES_UNKNOWN = _code(
    "launches-unknown",
    "Over 5% of the idle time ends in work whose launch was not recorded.",
    "So its cause is unknown. Trace the CUDA API too, and begin before the work is launched.",
)
ACCELERATOR_UNKNOWN = _code(
    "accelerator-unknown",
    "The calls are of an accelerator whose calls are not known by name.",
    "Idle time of the device is right. Which calls launch, wait or allocate cannot be told, so "
    "there are no causes and no limiter. Those of CUDA, HIP and XPU are known.",
)
CLOCK_SKEW = _code(
    "clock-skew",
    "Over 1% of the gaps end before their launch began.",
    "The GPU's clock is behind the host's. Idle time is right, causes are uncertain by the "
    "amount given. Where it makes up 5% of the idle time, once a gap, causes are invalid.",
)
CLOCK_AHEAD = _code(
    "clock-ahead",
    "Waits return before the work that they wait for has ended.",
    "The GPU's clock is ahead of the host's. Idle time is right, causes are uncertain by the "
    "amount given or more. Where it makes up 5% of the idle time, once a gap, causes are invalid.",
)
INFERRED_STEPS = _code(
    "inferred-steps",
    "Steps were found by repetition, not by ranges: none is one, or `--infer-steps` asked for it.",
    "The message says how sure they are; see [inferred steps](inferred-steps.md).",
)
FLAG_WAITS = _code(
    "flag-waits",
    "The host waited for flags in pinned memory, which no call shows: that was inferred.",
    "A thread fell silent after each of many copies to the host, and went on just after the copy "
    "had ended, early or late. Such silences count as waits up to the end of their copies, and so "
    "does what the thread did in them before it began to look. To see the waits themselves, wait "
    "by `cudaEventSynchronize`.",
)
FEW_STEPS = _code(
    "few-steps",
    "There are fewer than 10 steps in steady state.",
    "That is too few for a mean that holds. Record at least 12: the first and the last are "
    "left out. Of one or two steps, figures are given between their own edges, and no limiter.",
)
DEAD_STEPS = _code(
    "dead-steps",
    "Steps without GPU work were left out of averages.",
    "Work was skipped, or the ranges do not enclose the launches.",
)
STEPS_MISSING = _code(
    "steps-missing",
    "The numbers of the steps jump, while the GPU worked.",
    "Ranges of steps were lost, never closed, or not pushed. The period before each hole holds "
    "their work, and is left out. Look for the missing ranges; record a shorter window.",
)
RECORDING_PAUSED = _code(
    "recording-paused",
    "The numbers of the steps jump, and nothing ran in between.",
    "The profiler recorded some steps, paused, and recorded others. The pause is idle time of the "
    "whole window, and of no step. Look at one stretch with `--steps`.",
)
UNCLOSED_STEPS = _code(
    "unclosed-steps",
    "Ranges of steps never closed.",
    "Those that other steps follow are left out; the last one of a thread is taken to end with the "
    "recording. Pop each, and stop after the last step.",
)
AMBIGUOUS_OPERATIONS = _code(
    "ambiguous-operations",
    "Several steps were open when another thread launched.",
    "Which one the work belongs to cannot be told. Narrow `--step` to one kind of range.",
)
MANIFEST = _code(
    "manifest",
    "The `.json` beside the trace cannot be read.",
    "The trace is read without it. Record again, or remove it.",
)

OF_WHOLE_TRACE = frozenset(
    (
        LAUNCHES_WITHOUT_GPU_ROWS, PROCESS_NOT_RECORDED, STEPS_ELSEWHERE, OPERATIONS_MISSING,
        CALLS_MISSING, GRAPH_NODES_MISSING, STREAM_OVERLAP, OPERATIONS_BEFORE_LAUNCH, ROWS_DROPPED,
        RANGES_DROPPED, IMPOSSIBLE_CALLS, WRONG_DEVICE, GRAPH_LEVEL, CLOCK_AHEAD, FLAG_WAITS,
    )
)  # fmt: skip
"""Those that are about the recording: they count all of its rows, whatever window is looked at."""
