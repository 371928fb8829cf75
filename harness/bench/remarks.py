"""What is wrong with the figures of a session, and what is said of a comparison."""

from __future__ import annotations

from ..analysis.model.remark import Remark, Warned


class EndedEarly(Warned):
    """Every row ended before the length asked for, so runtimes are of shorter runs.

    `--eos-id -1` generates to the end.
    """

    code = "ended-early"


class CompiledInRun(Warned):
    """A timed run includes compiling. Raise `--warmup`."""

    code = "compiled-in-run"


class TokensDiffer(Warned):
    """Runs of one cell made different tokens.

    Use `--temperature 0`, and a strategy that `harness strategies` calls safe.
    """

    code = "tokens-differ"


class UnsafeStrategy(Warned):
    """The strategy may read a stale stop flag, so its tokens are not guaranteed.

    It is the published loop, for comparison only. Use `pipelined` or `deferred`.
    """

    code = "unsafe-strategy"


class ThrottledClocks(Warned):
    """Power or heat held the clocks of the GPU down.

    Lower it, or lock the clocks below the limit (`nvidia-smi -lgc`), and measure again.
    """

    code = "throttled-clocks"


class ClocksMoved(Warned):
    """The SM clock moved between rounds, so sessions do not compare.

    Lock it with `nvidia-smi -lgc`.
    """

    code = "clocks-moved"


class OtherWork(Warned):
    """The machine was busy with something else before the first round.

    End other programs, and measure again.
    """

    code = "other-work"


class CacheGivenBack(Warned):
    """Device memory was full, and the allocator gave its cache back.

    Use a smaller batch, or the expandable allocator.
    """

    code = "cache-given-back"


class Unstable(Warned):
    """The runs of a cell differ much.

    End other programs, lock the clocks, raise `--rounds`, and read the median.
    """

    code = "unstable"


class Outliers(Warned):
    """Single runs took far longer than their median. Medians bear it, means do not."""

    code = "outliers"


class NotWarm(Warned):
    """Successive runs still differed after warming up.

    Raise `--warmup`, or quieten the machine.
    """

    code = "not-warm"


class TooFewRuns(Warned):
    """There are too few runs for the interval of a median.

    Raise `--rounds` or `--time-budget`, or go on with `--resume`.
    """

    code = "too-few-runs"


class CellsFailed(Warned):
    """Cells could not be measured; the reason follows."""

    code = "cells-failed"


class FileLeftOut(Remark):
    """A file of the folder cannot be read, and is left out of the comparison; why follows."""

    code = "file-left-out"


class Regression(Warned):
    """A figure got worse by more than `--fail-above`, and not by chance.

    `harness compare` ends with exit code 3.
    """

    code = "regression"


class CannotJudge(Warned):
    """A figure looks worse by more than `--fail-above`, or may be, and too few runs were made.

    Two runs of an unchanged loop differ too. `harness compare` ends with exit code 4: record three
    runs or more of each into two folders and compare these, or let it pass with `--unjudged pass`.
    """

    code = "cannot-judge"


class ComparedAsRecorded(Remark):
    """Both sides are compared as recorded, with what their recorders cost, since one of the traces
    does not prove what it is without.

    Ratios of loops that make more calls then look worse than they are. Record both with bare
    blocks, or read the ratio as one of recordings.
    """

    code = "compared-as-recorded"


class ComparedBare(Remark):
    """Both sides are what their loops take without their recorders.

    Each recording holds steps that nobody recorded, and these prove it. `--as-recorded` compares
    the traces as they are.
    """

    code = "compared-bare"
