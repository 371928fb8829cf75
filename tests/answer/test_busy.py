"""What is said of a GPU's own work."""

from __future__ import annotations

import pytest

from harness.analysis.answer.busy import busy_sentences
from harness.analysis.answer.sentence import plain_text
from harness.analysis.gains.busy import Busy, Kernel
from tests.gains.test_changes import Drawn

from .support import answered


def work(count: float, launches: float) -> Busy:
    return Busy(
        kernels=(Kernel("k", 50e3, count),), kernel_ns=50e3, launches=launches, copy_ns=0.0,
        copy_alone_ns=0.0, copies=0.0, pageable=0.0, communication_ns=0.0,
        communication_alone_ns=0.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("count", "launches", "told"),
    [
        (1, 1, "in 1 launch); there is 1 launch a step in all."),
        (1, 3, "in 1 launch); there are 3 launches a step in all."),
        (24, 24.5, "in 24 launches); there are 24 launches a step in all."),
        (24, 1, "in 24 runs); there is 1 launch a step in all."),
        (24, 0, "in 24 runs)."),
    ],
)
def test_no_kernel_is_launched_more_often_than_all_are(
    count: float, launches: float, told: str
) -> None:
    (said,) = busy_sentences(work(count, launches), 100e3)
    assert plain_text(said) == f"The longest kernel is 'k' (50.0 µs a step, 50%, {told}"


@pytest.mark.parametrize(("host_us", "close"), [(90, True), (20, False)])
def test_a_host_that_needs_almost_as_long_as_the_gpu_is_told(host_us: int, close: bool) -> None:
    """Half of the kernel's time is never won: by then the host sets the pace."""

    def step(loop: Drawn, number: int) -> None:
        del number
        loop.launch(100)
        loop.python(host_us)

    told = answered(step)
    assert told.kind == "gpu"
    said = "The host is close behind: without 'k' a step would still take 96.0 µs." in told.text
    assert said == close
    assert ("either alone wins little" in told.text) == close
    assert ("Only faster or fewer kernels" in told.text) != close
