"""What is said of a recorded loop that is replayed."""

from __future__ import annotations

from ..model.remark import Remark


class ThreadsInTurn(Remark):
    """Several threads launched work in turn; played as one, they cannot overlap."""

    code = "threads-in-turn"


class NoLaunchCall(Remark):
    """Operations whose launch was not recorded are left out.

    Begin to record before the first step, and trace the CUDA API.
    """

    code = "no-launch-call"


class QueueFull(Remark):
    """The host was so far ahead that the driver held its launches.

    The wait is not counted as the launch's own time.
    """

    code = "queue-full"
