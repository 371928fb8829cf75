"""What is said of a recording: notes under the line of a stage, most of them in the manifest."""

from __future__ import annotations

from ..analysis.model.remark import Remark, Warned


class Recorded(Remark):
    """What the recording holds."""

    code = "recorded"


class WholeProgram(Remark):
    """The whole program is recorded, set-up included.

    `--capture-range` cuts it to the steps.
    """

    code = "whole-program"


class NothingYet(Warned):
    """The program runs, and what the recording waits for has not happened.

    Said while it runs, so that an hour need not pass first. No CUDA work: it may be done by a child
    process, which is not recorded. No range that is a step: `--step GLOB` names yours.
    """

    code = "nothing-yet"


class WindowOpened(Remark):
    """When the recording began, where the program does not say so itself."""

    code = "window-opened"


class EndedByWindow(Remark):
    """The program was ended after its window, as `--then stop` asks, or nsys's `--duration`."""

    code = "ended-by-window"


class NoStepRanges(Remark):
    """The recording has ranges of the program's own, of which the commonest are named.

    The analysis says which of them it takes for steps; `--step 'NAME*'` takes others.
    """

    code = "no-step-ranges"


class NoRanges(Remark):
    """The recording has no NVTX ranges.

    Without ranges there are device figures alone, or `--infer-steps`.
    """

    code = "no-ranges"


class LeftOut(Remark):
    """`--all` records what can run here; the reason of the others follows."""

    code = "left-out"


class TargetExited(Remark):
    """The program failed; what was recorded by then is kept."""

    code = "target-exited"


class LeftRunning(Remark):
    """The program ended, and processes that it started did not.

    Nobody waits for them, and the harness does not end them.
    """

    code = "left-running"


class Kept(Remark):
    """`--keep` left the working folder of a failed recording. Remove it when done."""

    code = "kept"


class Calibrated(Remark):
    """What `--calibrate` measured; `harness gaps` corrects with it."""

    code = "calibrated"


class NotCalibrated(Remark):
    """The recording is whole, and its calibration failed for the reason given.

    Too few steps: `--steps 30:50` has enough.
    """

    code = "not-calibrated"


class NoSummary(Warned):
    """The recording is there, and reading it failed for the reason given.

    Try `harness gaps` on it.
    """

    code = "no-summary"


class RawImported(Remark):
    """nsys left a raw `.qdstrm`, and the harness imported it.

    This nsys did not find its own importer (Debian's package never does). Nothing is missing.
    """

    code = "raw-imported"


class GraphsByNode(Remark):
    """torch.profiler records CUDA graphs node by node, never as a whole.

    `--graph-trace graph` needs the CUPTI shim or nsys. Nodes cost time: times of graphs are longer
    than they were.
    """

    code = "graphs-by-node"


class StartsIgnored(Remark):
    """A process is recorded once: only the first window is in the recording."""

    code = "starts-ignored"


class BegunInCapture(Remark):
    """The recording began while a CUDA graph was captured.

    The GPU could not be idled first, so work launched earlier may show without its launch. Open
    the window outside of `torch.cuda.graph(...)`.
    """

    code = "begun-in-capture"


class Incomplete(Remark):
    """Something is missing in the recording, and is counted. Record a shorter window."""

    code = "incomplete"


class NotComputed(Remark):
    """The simulator computes small models alone; of this one the operations are real.

    Its tokens are made up, and rows end only where `--force-eos-at` says so. Times are not touched
    by it.
    """

    code = "not-computed"


class Races(Remark):
    """The strategy read flags before their copies had landed; the simulator shows it.

    Wait for the event of the copy before reading.
    """

    code = "races"
