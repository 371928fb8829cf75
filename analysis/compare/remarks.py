"""What a reader must know to believe a comparison."""

from __future__ import annotations

from ..model.remark import Remark


class OneRun(Remark):
    """There is one run on each side: what is said holds for these two runs alone.

    Intervals cover their steps, not what another run of the same loop would give. Two runs of an
    unchanged loop differ by more than their steps foretell, so nothing is called better or worse,
    and no gate fails. Record three runs or more of each into two folders, and compare these.
    """

    code = "one-run"


class TooFewValues(Remark):
    """Some figures have too few values to be tested.

    How many there must be is said. Nothing is called better or worse on two runs a side.
    """

    code = "too-few-values"


class LevelShift(Remark):
    """The steps of a run change their level on the way, so their mean has no interval.

    The clocks of the GPU moved, most often: lock them with `nvidia-smi -lgc`, warm up for longer,
    or look at the steps of one level with `--steps`.
    """

    code = "level-shift"


class HistoryUnused(Remark):
    """The runs of `--history` say nothing of this comparison.

    Each side has runs enough of its own, or the history has fewer than three of the same label.
    """

    code = "history-unused"


class ManyTests(Remark):
    """Of many figures tested, some are marked by chance alone.

    Judge the figures that you had in mind before, or raise `--confidence`.
    """

    code = "many-tests"
