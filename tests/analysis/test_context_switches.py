"""Whose context had the GPU: by its process, by its number, by what started meanwhile."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from harness.analysis.analyze import analyze
from harness.analysis.model.schema import MAX_TIME
from harness.analysis.store.build import build_store
from harness.analysis.store.opened import Store
from harness.analysis.writer.writer import TraceBuilder

from .build import US

OURS, SECOND, OTHERS = 21, 22, 30
"""Contexts, by the hardware's numbers."""
HOST_PID = 1 << 48 | 4711 << 24
"""What a container's process is called outside of it."""


class Shared:
    """Kernels of 20 every 100, from 50 on, launched long before; of what is idle between them,
    [70, 150) and so on, every second has another context on the GPU at [80, 130)."""

    def __init__(self, *, kernels: int = 8, known_gpu: bool = True, gpu: int = 0) -> None:
        self.trace = TraceBuilder(producer="builder", origin="synthetic", allow_invalid=True)
        self.process = self.trace.process(100, "python")
        self.thread = self.trace.thread(self.process, 100, "MainThread")
        self.kernels, self.gpu = kernels, gpu
        if known_gpu:
            self.trace.device(name="Test GPU", uuid="uuid-0")
        for k in range(kernels):
            start = 50 + 100 * k
            self.trace.launch(
                k * US, (k + 1) * US, start * US, (start + 20) * US, thread=self.thread
            )  # fmt: skip

    def resident(
        self, context: int, *times: tuple[int, int | None], process: int | None = None
    ) -> Shared:
        """Stretches of one context, us; without an end where that is None."""
        for begin, end in times:
            for time, begins in ((begin, True), (end, False)):
                if time is not None:
                    self.trace.context_switch(
                        time * US, begin=begins, context=context, gpu=self.gpu, process=process
                    )
        return self

    def ours(self, context: int = OURS, process: int | None = None) -> Shared:
        """Our context has the GPU whenever the other one has not."""
        last = 100 * self.kernels
        spans = [(k + 30 if k else 0, k + 80) for k in range(0, last, 200)]
        return self.resident(context, *spans, (last + 30, last + 40), process=process)

    def others(self, context: int = OTHERS, process: int | None = None) -> Shared:
        spans = [(k + 80, k + 130) for k in range(0, 100 * self.kernels, 200)]
        return self.resident(context, *spans, process=process)

    def taken(self, folder: Path) -> list[int]:
        """Of each device, idle us of the cause; in memory and within a budget."""
        path = folder / "trace.sqlite"
        self.trace.write(path, force=True)
        found = []
        built = folder / f"built-{len(list(folder.iterdir()))}"
        built.mkdir()
        build_store(path, built, 1 << 20, lambda what, done, total: None)
        for source in (path, Store(built, path)):
            devices = analyze(source).devices
            assert all(sum(d.causes.values()) == d.idle_ns for d in devices)
            found.append([d.causes["other-context"] // US for d in devices])
        assert found[0] == found[1]
        return found[0]


@pytest.mark.parametrize(
    ("ours", "others"),
    [
        (1 << 48 | 100 << 24, None),  # the rows name our process
        (1 << 48 | 100 << 24, HOST_PID),
        (None, None),  # no row names any: the kernels tell
        (HOST_PID, 1 << 48 | 815 << 24),  # the host's pids, which no kernel has
    ],
)
def test_whose_a_context_is(tmp_path: Path, ours: int | None, others: int | None) -> None:
    """Of 8 kernels 7 gaps, of which 4 have the other context in them for 50 each."""
    shared = Shared().ours(process=ours).others(process=others)
    assert shared.taken(tmp_path) == [4 * 50]


def test_the_hardwares_number_of_a_context_says_whose_it_is(tmp_path: Path) -> None:
    """Our second context runs no kernel, and only its number tells that it is ours."""
    shared = Shared().ours().others(SECOND)
    assert shared.taken(tmp_path) == [4 * 50]
    shared.trace.context(1, pid=100, hardware=OURS)
    shared.trace.context(2, pid=100, hardware=SECOND)
    assert shared.taken(tmp_path) == [0]


@pytest.mark.parametrize("hardware", [0, 31])
def test_a_number_that_is_nobodys_says_nothing(tmp_path: Path, hardware: int) -> None:
    """Most exports hold 0."""
    shared = Shared().ours().others(0 if hardware == 0 else OTHERS)
    shared.trace.context(1, pid=100, hardware=hardware)
    assert shared.taken(tmp_path) == [4 * 50]


def test_streams_of_two_priorities_have_two_contexts(tmp_path: Path) -> None:
    """One kernel of eight starts in the second one's time: it is ours all the same."""
    shared = Shared().ours().others()
    shared.resident(SECOND, (745, 775))
    assert shared.taken(tmp_path) == [4 * 50]
    few = Shared(kernels=8).ours().resident(SECOND, (80, 130), (280, 330), (745, 775))
    assert few.taken(tmp_path) == [0]


@pytest.mark.parametrize(
    ("second", "spent"),
    [
        (HOST_PID, 0),
        (1 << 48 | 815 << 24, 6 * 50),
        (None, 6 * 50),  # what has no pid shares none
        (1 << 48, 6 * 50),  # pid 0: of nobody in this container
    ],
)
def test_contexts_with_one_pid_are_of_one_process(
    tmp_path: Path, second: int | None, spent: int
) -> None:
    """In a container, with the host's pids: of 12 kernels one starts in our second context."""
    shared = Shared(kernels=12).ours(process=HOST_PID if second != 1 << 48 else second)
    shared.others(SECOND, process=second)
    shared.resident(SECOND, (1145, 1175), process=second)
    assert shared.taken(tmp_path) == [spent]


def test_a_context_that_processes_share_is_each_ones_own(tmp_path: Path) -> None:
    """MPS: one context, the server's, for all its clients."""
    shared = Shared().ours().others()
    process = shared.trace.process(200, "python")
    thread = shared.trace.thread(process, 200, "MainThread")
    for k in range(8):
        start = 40 + 100 * k
        shared.trace.launch(k * US, (k + 1) * US, start * US, (start + 1) * US, thread=thread)
    assert shared.taken(tmp_path) == [4 * 50]


def test_the_context_of_another_recorded_process_is_not_our_own(tmp_path: Path) -> None:
    shared = Shared().ours().others()
    process = shared.trace.process(200, "python")
    thread = shared.trace.thread(process, 200, "MainThread")
    for k in range(0, 8, 2):
        start = 100 + 100 * k
        shared.trace.launch(k * US, (k + 1) * US, start * US, (start + 1) * US, thread=thread)
    # Each of the four gaps is now two: before the other process's kernel at 100 our context had
    # the GPU until 80, and before ours the other one until 130.
    assert shared.taken(tmp_path) == [4 * (10 + 29)]


@pytest.mark.parametrize(
    "unsure",
    [
        lambda: Shared().others(),  # no context that could be our own
        lambda: Shared(gpu=7).ours().others(),  # rows of a GPU that no process worked on
        lambda: Shared(known_gpu=False).ours().others(),  # nothing says which GPU is meant
    ],
)
def test_what_cannot_be_mapped_claims_nothing(tmp_path: Path, unsure: Callable[[], Shared]) -> None:
    assert unsure().taken(tmp_path) == [0]


@pytest.mark.parametrize(
    ("times", "spent"),
    [
        ([(100, None)], 50),  # until ours got the GPU at 150
        ([(100, None), (110, 120)], 10),  # the END of the first was lost: nobody knows
        ([(110, 120)], 10),
    ],
)
def test_switches_that_lack_their_other_half(
    tmp_path: Path, times: list[tuple[int, int | None]], spent: int
) -> None:
    """Our own context is known by its kernels alone, and has the GPU while they run."""
    shared = Shared()
    shared.resident(OURS, *((50 + 100 * k, 70 + 100 * k) for k in range(8)))
    shared.resident(OURS, (800, 808))
    shared.resident(OTHERS, *times)
    assert shared.taken(tmp_path) == [spent]


def test_an_end_alone_is_no_stretch(tmp_path: Path) -> None:
    shared = Shared().ours()
    shared.trace.context_switch(100 * US, begin=False, context=OTHERS)
    assert shared.taken(tmp_path) == [0]


def test_switches_at_one_time_go_by_their_number(tmp_path: Path) -> None:
    """END and BEGIN at 100: the context gave the GPU back and got it again."""
    shared = Shared().ours().resident(OTHERS, (80, 100), (100, 130))
    assert shared.taken(tmp_path) == [50]


@pytest.mark.parametrize("time", [None, MAX_TIME, -MAX_TIME, 2**62])
def test_times_that_no_clock_gives_are_passed_over(tmp_path: Path, time: int | None) -> None:
    shared = Shared().ours().others()
    for begin in (True, False):
        shared.trace.context_switch(time, begin=begin, context=OTHERS)
        shared.trace.context_switch(time, begin=begin, context=OURS)
    if time is not None:
        shared.trace.host_function(60 * US, time, process=shared.process)
        shared.trace.host_function(time, 90 * US, process=shared.process)
    shared.trace.host_function(90 * US, 80 * US, process=shared.process)
    assert shared.taken(tmp_path) == [4 * 50]


def test_two_gpus_are_told_apart(tmp_path: Path) -> None:
    shared = Shared().ours().others()
    shared.gpu = shared.trace.device(1, name="Test GPU", uuid="uuid-1")
    for k in range(2):
        start = 50 + 100 * k
        shared.trace.launch(
            (20 + k) * US, (21 + k) * US, start * US, (start + 20) * US, thread=shared.thread,
            device=1,
        )  # fmt: skip
    shared.resident(OURS, (0, 90), (100, 200)).resident(OTHERS, (90, 100))
    assert shared.taken(tmp_path) == [4 * 50, 10]


def test_times_since_1970(tmp_path: Path) -> None:
    """As `nsys --ts-normalize=true` writes them."""
    shared = Shared().ours().others()
    shared.trace.host_function(140 * US, 145 * US, process=shared.process)
    epoch = 1_700_000_000_000_000_000
    shared.trace.session_start(epoch)
    path = tmp_path / "trace.sqlite"
    shared.trace.write(path)
    with closing(sqlite3.connect(path)) as database, database:
        for table in ("KERNEL", "RUNTIME", "GRAPH_HOST_NODE_AND_HOST_LAUNCH"):
            database.execute(
                f"UPDATE CUPTI_ACTIVITY_KIND_{table} "
                f"SET start = start + {epoch}, end = end + {epoch}"
            )
        database.execute(f"UPDATE GPU_CONTEXT_SWITCH_EVENTS SET timestamp = timestamp + {epoch}")
    (device,) = analyze(path).devices
    assert (device.causes["other-context"], device.causes["host-function"]) == (200 * US, 5 * US)
