"""What a reader must know to believe a comparison."""

from __future__ import annotations

from ..model.remark import Remark


class OneRun(Remark):
    """One side has one run, so intervals cover its steps, not what another run would give.

    Measure several runs of each.
    """

    code = "one-run"


class TooFewValues(Remark):
    """Some figures have too few values to be tested.

    More runs are needed on each side; how many is said.
    """

    code = "too-few-values"


class ManyTests(Remark):
    """Of many figures tested, some are marked by chance alone.

    Judge the figures that you had in mind before, or raise `--confidence`.
    """

    code = "many-tests"
