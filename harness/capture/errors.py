"""Why nothing can be recorded, or a recording failed."""

from __future__ import annotations

from ..errors import CaptureError, HarnessError, UsageError


class TargetFailed(CaptureError):
    """The program ended with an error before anything was recorded.

    Its own output says why. The harness ends with the program's exit code.
    """

    code = "target-failed"
    exit_code = 0  # each has its own

    def __init__(self, message: str, *, exit_code: int, remedy: str | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.exit_code = exit_code


class CommandNotFound(TargetFailed):
    """The program or command to record was not found, as a shell would look for it."""

    code = "command-not-found"
    exit_code = 127
    remedy = "check its name, and the folder that you are in"


class NotExecutable(TargetFailed):
    """The command after `--` cannot be executed.

    It lacks the right to be (`chmod +x`), a `#!` line that names its interpreter, or it was made
    for another machine.
    """

    code = "not-executable"
    exit_code = 126
    remedy = "run a script with its interpreter, or give it a '#!' line"


class Interrupted(CaptureError):
    """The recording was stopped by Ctrl-C or another signal.

    What was recorded by then is kept where it could be; a raw file that was left is named. The exit
    code is 128 and the number of the signal.
    """

    code = "interrupted"
    exit_code = 0  # each has its own

    def __init__(self, message: str, *, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class SimulationFailed(TargetFailed):
    """The simulation ended with an error.

    Its own message stands above; a host-device race ends with 1.
    """

    code = "simulation-failed"


class CannotRecord(CaptureError):
    """Nothing here can record.

    Each backend is named with its reason; `harness doctor` shows more.
    """

    code = "cannot-record"


class NoGpu(CaptureError):
    """No NVIDIA GPU was found, and an option asks for one.

    `nvidia-smi` finds none. Without one, `--device cpu` records the host's side, and
    `--capture sim` simulates a GPU where PyTorch is installed (`pip install
    'nsys-harness[strategies]'`).
    """

    code = "no-gpu"


class OwnStrategiesOnly(CaptureError):
    """The simulator runs the harness's own strategies, no other program.

    Record your program where it runs, and let `harness predict --from` replay the recording.
    """

    code = "own-strategies-only"


class OptionsDoNotFit(UsageError):
    """An option does not go with what is to be recorded, or with where.

    A strategy's window is `--steps`, a command's is `--capture-range`; options of your own program
    go after its name. nsys and CUPTI record what is here, CUPTI needs a GPU, and `sim` simulates
    one, which `--gpu` names, for the harness's own strategies alone. To calibrate a loop of your
    own, time it with the [Python API](api.md).
    """

    code = "options-do-not-fit"
    remedy = "leave one of the two out"


class BadCaptureRange(UsageError):
    """`--capture-range` is `auto`, `cudaProfilerApi`, `nvtx:NAME` or `none`."""

    code = "bad-capture-range"
    remedy = "use auto, cudaProfilerApi, nvtx:NAME or none"


class BadName(UsageError):
    """The name for the recording cannot be used.

    It is empty, too long or hidden, has a slash or a control character, or a placeholder that is
    not known or not set. Placeholders are `%q{VARIABLE}`, `%h` (host) and `%%`; a variable of a
    launcher is set where the harness is started under that launcher.
    """

    code = "bad-name"
    remedy = "choose another --name"


class RecordingExists(CaptureError):
    """A recording of that name is there, or appeared meanwhile. Nothing was overwritten."""

    code = "recording-exists"
    remedy = "use --force, or another --name"


class NameInUse(CaptureError):
    """Another recording is being written under the same name."""

    code = "name-in-use"
    remedy = "wait for it, or use another --name"


class NoFreeName(CaptureError):
    """Ten thousand names are taken, or the folder cannot be read."""

    code = "no-free-name"
    remedy = "use another --output-dir"


class RecordingNotWritten(CaptureError):
    """The recording cannot be written into its folder.

    Permission is missing, or the disk is full; the system's reason follows.
    """

    code = "recording-not-written"
    remedy = "choose another --output-dir"


class DiskFull(CaptureError):
    """The disk is full, so the report could not be written, or not all of it."""

    code = "disk-full"
    remedy = "free space there or choose another --output-dir"


class RangeNotOpened(CaptureError):
    """The capture range never opened, so nothing was recorded.

    The window waits for something that did not happen: no steady work or no steps of those numbers,
    no `torch.cuda.profiler.start()`, no range of that name, or it happened in a child process.
    `--capture-range none` records everything.
    """

    code = "range-not-opened"


class NoStepsRecorded(CaptureError):
    """A strategy ran, and its recording holds no step.

    nvtx and nsys do not get on, or `--steps` lies beyond the run.
    """

    code = "no-steps-recorded"
    remedy = "run harness doctor, and see that --steps lies within the run"


class NoTraceWritten(CaptureError):
    """The recording could not be turned into a trace that can be read.

    Check the free space, and file systems without locks, which SQLite needs.
    """

    code = "no-trace-written"


class CalibrationFailed(CaptureError):
    """The run without a profiler failed.

    `--calibrate` runs the target again, unprofiled, and that ended with an error or left no
    result.
    """

    code = "calibration-failed"
    remedy = "record without --calibrate, and see whether the target runs by itself"


class KeeperKilled(CaptureError):
    """The process that watches over the recording was killed.

    What it had started was ended with it.
    """

    code = "keeper-killed"
    remedy = "record again"


class NoStrategyList(HarnessError):
    """The target's Python failed to list its strategies.

    Usually since PyTorch is missing there. Name strategies one by one to see why.
    """

    code = "no-strategy-list"
    remedy = "name them one by one"


class NoStrategyRuns(HarnessError):
    """`--all` found no strategy that can run here.

    `harness strategies` gives the reason of each.
    """

    code = "no-strategy-runs"
    remedy = "see 'harness strategies'"


class ProbeFailed(HarnessError):
    """The little program that `harness doctor` records failed.

    The nsys here breaks what it records.
    """

    code = "probe-failed"


class NothingRecords(HarnessError):
    """`harness doctor` found no recorder that works.

    Its lines say what is missing for each.
    """

    code = "nothing-records"
    remedy = "see the lines above"
