"""What is said of a prediction or a calibration."""

from __future__ import annotations

from ..analysis.model.remark import Remark, Warned


class ReplayMisses(Warned):
    """The replay of the recording differs from the recording, so do not rely on its predictions.

    The recording holds waits or launches that the replay does not know. Predict from another, or
    report it.
    """

    code = "replay-misses"


class RacesPredicted(Warned):
    """The strategy reads flags before their copies have landed.

    Its times stand, its tokens are not sure. Use `pipelined` or `deferred`.
    """

    code = "races-predicted"


class OperationsUnknown(Remark):
    """Which operations were run is not known, so their times are kept.

    Keep the `.json` beside the trace, or name the workload with `--strategy`, `--batch-size` and so
    on.
    """

    code = "operations-unknown"
