"""After the window: blocks of steps with the recorder and without it, in turns."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import pytest

from harness.capture.cupti import blocks as inside

from .test_end_to_end import LOOP, count

STEPS = "for i in range(30):", "for i in range(900):"
BARE_NS = 2_000_000_000
ROUND = inside.SETTLE + inside.STEPS
"""Steps of one block, settling included."""


class Session:
    """Takes down what was asked of it."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    @property
    def session(self) -> Session:
        return self

    def capturing(self) -> bool:
        return False

    def blocks_over(self) -> None:
        self.asked.append("over")

    def open_block(self) -> None:
        self.asked.append("open")

    def close_block(self) -> dict[str, int]:
        self.asked.append("close")
        return {"kernel": 40}


def ranges(*names: str) -> list[tuple[str, None, int, int, int]]:
    """Ranges of one thread, one after the other."""
    return [(name, None, 10 * k, 10 * k + 9, 7) for k, name in enumerate(names)]


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test moves on, and no PyTorch."""
    now = SimpleNamespace(ns=1_000_000)
    fake = SimpleNamespace(
        perf_counter_ns=lambda: now.ns, monotonic_ns=lambda: now.ns, time_ns=lambda: now.ns
    )
    monkeypatch.setattr(inside, "time", fake)
    monkeypatch.setattr(inside, "sys", SimpleNamespace(modules={}))
    return now


def made(done, config=None, **options):
    """Blocks after a window with these ranges, and their session."""
    session = Session()
    return inside.Blocks(session, done, config or {}, BARE_NS, **options), session


def test_blocks_with_the_recorder_stand_between_blocks_without(clock):
    blocks, session = made(ranges(*(f"Step {k}" for k in range(5))))
    for k in range(10_000):
        if blocks.finished:
            break
        blocks.begins(f"Step {k}", None)
        clock.ns += 5_000_000 if session.asked[-1:] == ["open"] else 4_000_000
    recorded = [row["recorded"] for row in blocks.rows]
    assert recorded == [False, *[True, False] * inside.FEWEST]  # they agree
    assert k == ROUND * len(recorded) + 1
    for row in blocks.rows:
        assert row["steps"] == inside.STEPS
        assert row["host_ns"] == inside.STEPS * (5_000_000 if row["recorded"] else 4_000_000)
        assert row.get("records") == ({"kernel": 40} if row["recorded"] else None)
    assert session.asked == [*["open", "close"] * inside.FEWEST, "over"]
    assert blocks.describe()["reason"] is None


def test_blocks_that_disagree_are_made_more_of(clock):
    blocks, session = made(ranges(*(f"Step {k}" for k in range(5))))
    for k in range(10_000):
        if blocks.finished:
            break
        blocks.begins(f"Step {k}", None)
        noise = 1_000_000 * (k // ROUND % 3)
        clock.ns += 5_000_000 + noise if session.asked[-1:] == ["open"] else 4_000_000
    assert sum(row["recorded"] for row in blocks.rows) == inside.PAIRS


def test_long_steps_make_short_blocks(clock):
    blocks, _ = made(ranges(*(f"Step {k}" for k in range(5))))
    for k in range(400):
        blocks.begins(f"Step {k}", None)
        clock.ns += 200_000_000
    assert {row["steps"] for row in blocks.rows} == {inside.LEAST}
    assert blocks.finished


def test_a_loop_that_begins_again_begins_its_block_again(clock):
    blocks, _ = made(ranges(*(f"Step {k}" for k in range(5))))
    for k in itertools.chain(range(ROUND - 1), range(ROUND + 1)):
        blocks.begins(f"Step {k}", None)
        clock.ns += 1_000_000 if k else 90_000_000  # the prefill
    (row,) = blocks.rows
    assert row["host_ns"] == inside.STEPS * 1_000_000


def test_what_the_recorder_may_add_is_limited(clock, monkeypatch):
    blocks, session = made(ranges(*(f"Step {k}" for k in range(5))))
    for k in range(10_000):
        blocks.begins(f"Step {k}", None)
        clock.ns += 400_000_000 if session.asked[-1:] == ["open"] else 40_000_000
        if blocks.finished:
            break
    assert sum(row["recorded"] for row in blocks.rows) == 2


def test_no_change_is_made_while_a_graph_is_captured(clock):
    blocks, session = made(ranges(*(f"Step {k}" for k in range(5))))
    session.capturing = lambda: True
    for k in range(5 * ROUND):
        blocks.begins(f"Step {k}", None)
        clock.ns += 1_000_000
    assert (blocks.rows, session.asked) == ([], [])


def test_the_program_s_end_closes_what_is_open(clock):
    done = ranges(*(f"Step {k}" for k in range(5)))
    blocks, session = made(done)
    for k in range(ROUND + 3):
        blocks.begins(f"Step {k}", None)
        clock.ns += 1_000_000
    done.append(("Step 99", None, 0, 1, 7))
    blocks.finish()
    assert session.asked == ["open", "close", "over"]
    assert len(done) == 5
    assert blocks.describe()["reason"] == "the program made no more steps after its window"


def test_a_session_that_fails_ends_the_blocks_and_not_the_program(clock):
    blocks, session = made(ranges(*(f"Step {k}" for k in range(5))))

    def refuse() -> None:
        raise RuntimeError("CUPTI could not record again: busy")

    session.open_block = refuse
    for k in range(3 * ROUND):
        blocks.begins(f"Step {k}", None)
        clock.ns += 1_000_000
    assert blocks.finished
    assert blocks.describe()["reason"] == "RuntimeError: CUPTI could not record again: busy"


@pytest.mark.parametrize(
    ("names", "config", "step"),
    [
        (("Step 1", "Model Forward", "Step 2", "Model Forward", "Step 3"), {}, "Step #"),
        (("train_step", "load", "train_step", "load", "train_step", "load"), {}, "train_step"),
        (("a", "b", "a", "a", "b"), {}, "a"),
        (("Step 1", "mine 1", "Step 2", "mine 2", "mine 3"), {"globs": ["mine *"]}, "mine #"),
    ],
)
def test_the_step_is_what_repeats_and_is_called_so(clock, names, config, step):
    blocks, _ = made(ranges(*names), config)
    assert blocks._step[0] == step


def test_ranges_within_others_are_no_steps(clock):
    outer = [("epoch", None, 0, 1000, 7)]
    inner = [(f"part {k}", None, 10 * k + 1, 10 * k + 9, 7) for k in range(9)]
    blocks, _ = made(outer + inner)
    assert blocks.finished
    assert blocks.describe()["reason"].startswith("no range repeats in the window")


# In a program


def test_a_recording_holds_blocks_with_the_recorder_and_without(machine):
    done = machine.profile(LOOP.replace(*STEPS))
    assert done.returncode == 0, done.stderr
    bare = machine.manifest["bare"]
    assert (bare["recorder"], bare["reason"]) == ("cupti-light", None)
    recorded = [row["recorded"] for row in bare["blocks"]]
    assert sum(recorded) >= inside.FEWEST
    assert recorded == [False, *[True, False] * sum(recorded)]
    for row in bare["blocks"]:
        assert row["host_ns"] > 0
        if row["recorded"]:
            # Two launches and a wait in each step; the last step's are not whole.
            assert abs(row["records"]["kernel"] - 2 * (ROUND + 1)) <= 2
    assert count(machine.trace, "CUPTI_ACTIVITY_KIND_KERNEL") == 40
    assert count(machine.trace, "NVTX_EVENTS") < 80


@pytest.mark.parametrize(
    ("options", "env", "reason"),
    [
        (("--bare", "off"), {}, "not asked for"),
        (("--graph-trace", "graph"), {}, "CUDA graphs are recorded as a whole"),
        ((), {"FAKE_CUPTI_STAYS": "1"}, "CUPTI could not be let go of"),
    ],
)
def test_why_there_are_no_blocks_is_said(machine, options, env, reason):
    done = machine.profile(LOOP.replace(*STEPS), *options, **env)
    assert done.returncode == 0, done.stderr
    bare = machine.manifest["bare"]
    assert bare["blocks"] == []
    assert bare["reason"].startswith(reason)


def test_the_program_is_stopped_once_its_blocks_are_made(machine):
    script = LOOP.replace(*STEPS).replace("if i ==", "if False and i ==")
    script = script.replace("range(900)", "range(100000)").replace(
        "torch.cuda.synchronize()", "torch.cuda.synchronize(); time.sleep(0.002)"
    )
    done = machine.profile(script, "--steps", "5:25", "--then", "stop")
    assert done.returncode == 0, done.stderr
    assert sum(row["recorded"] for row in machine.manifest["bare"]["blocks"]) >= 5


def test_everything_is_recorded_when_it_is_asked_for(machine):
    done = machine.profile(LOOP, "--record", "full")
    assert done.returncode == 0, done.stderr
    assert machine.manifest["bare"]["recorder"] == "cupti-full"
    assert "records=full" in machine.manifest["capture"]["options"]
    assert count(machine.trace, "CUPTI_ACTIVITY_KIND_RUNTIME") == 60


def test_what_only_cupti_takes_is_refused_elsewhere(machine):
    done = machine.harness("profile", "--capture", "null", "--record", "full", "--", "true")
    assert done.returncode == 2
    assert "--record is for --capture cupti, not null" in done.stderr
