"""Flags that land late: who reads too early, which flag, in which step, by how much."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="simulating needs torch (pip install '.[strategies]')")

from harness.analysis.gains.gpu import load_gpu  # noqa: E402
from harness.analysis.gains.work import Work  # noqa: E402
from harness.simgpu.device import SimDevice  # noqa: E402
from harness.simgpu.runtime import SimRuntime  # noqa: E402
from harness.simgpu.target import race_lines  # noqa: E402

from .conftest import run  # noqa: E402


def test_a_load_before_the_copy_landed_returns_the_old_value_and_is_a_race():
    # By hand on the H100's constants: a kernel of 1 ms is launched at 0, so it runs
    # [3470, 1003470). The copy: 12310 of dispatch, its call begins at 3470 + 12310 = 15780; it
    # starts 1216 after the kernel and takes 1536: it lands at 1006222. The host is at 19250.
    sim = SimDevice(load_gpu("h100"))
    runtime = SimRuntime(sim)
    sim.machine.launch(Work("long", 1_000_000), 7, 3_470)
    flag = runtime.new_flag()
    flag.copy_from(torch.tensor(True))
    assert sim.now == 3_470 + 12_310 + 3_470
    assert flag.load() is False
    (race,) = runtime.races
    landing = 3_470 + 1_000_000 + 1_216 + 1_536
    assert race.early_ns == landing - sim.now == 986_972
    assert race.wrong
    sim.machine.spend(race.early_ns - 1)
    assert flag.load() is False
    assert runtime.races[-1].early_ns == 1
    sim.machine.spend(1)
    assert flag.load() is True
    assert len(runtime.races) == 2


def test_an_event_behind_the_copy_makes_the_load_safe():
    sim = SimDevice(load_gpu("h100"))
    runtime = SimRuntime(sim)
    sim.machine.launch(Work("long", 1_000_000), 7, 3_470)
    flag, event = runtime.new_flag(), runtime.new_event()
    flag.copy_from(torch.tensor(True))
    event.record()
    assert not event.query()
    event.synchronize()
    assert flag.load() is True
    assert runtime.races == []
    assert event.query()


def test_a_cleared_flag_forgets_what_had_landed_unread():
    sim = SimDevice(load_gpu("h100"))
    runtime = SimRuntime(sim)
    flag = runtime.new_flag()
    flag.copy_from(torch.tensor(True))
    runtime.synchronize()
    flag.clear()
    assert flag.load() is False
    assert runtime.races == []


def test_copies_land_in_their_order():
    sim = SimDevice(load_gpu("h100"))
    runtime = SimRuntime(sim)
    flag = runtime.new_flag()
    flag.copy_from(torch.tensor(True))
    flag.copy_from(torch.tensor(False))
    runtime.synchronize()
    assert flag.load() is False


def test_the_published_loop_races_where_the_gpu_is_behind():
    done = run("pipelined-published", "slow")
    assert done.runtime.races
    race = done.runtime.races[0]
    assert race.copied_in == race.step - 1
    assert race.early_ns > 0
    assert done.result["simulated"]["races"][0]["step"] == race.step


def test_it_does_not_where_the_host_is_behind():
    assert run("pipelined-published", "h100").runtime.races == []


def test_a_race_makes_the_published_loop_overrun():
    fields = {"force_eos_at": "8", "eos_id": 127, "max_new_tokens": 40}
    safe = run("pipelined", "slow", **fields)
    published = run("pipelined-published", "slow", **fields)
    assert safe.result["steps"]["overshoot"] <= 1
    assert published.result["steps"]["overshoot"] > 1
    assert any(race.wrong for race in published.runtime.races)


def test_races_are_told_in_one_line_each():
    lines = list(race_lines(run("pipelined-published", "slow").runtime.races))
    assert all("\n" not in line for line in lines)
    assert "read flag" in lines[0]
    assert "µs before the copy of step" in lines[0]
    assert "wait for the event of the copy" in lines[-1]
