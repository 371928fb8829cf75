"""docs/strategies.md: its tables are the registry's, and its example works."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import torch

from harness.decode import registry, session
from harness.decode.registry import KINDS, choice_names, host_syncs_of, needs_of, strategies

from .support import decode, make_workload, reference

TEXT = (Path(__file__).parents[2] / "docs" / "strategies.md").read_text()


def test_the_table_of_presets_is_the_registrys():
    rows = re.findall(r"^\| `([a-z-]+)` \| (.+) \|$", TEXT, re.M)
    rows = {name: cells.split(" | ") for name, cells in rows if cells.count(" | ") == 5}
    assert rows == {
        s.name: [*s.choices.values(), str(host_syncs_of(s)), ", ".join(needs_of(s)) or "-"]
        for s in strategies()
    }


def test_the_table_of_choices_is_the_registrys():
    part = TEXT[TEXT.index("## Four choices") : TEXT.index("## Presets")]
    named = re.findall(r"^\| (?:`--[a-z-]+`)? ?\| `([a-z-]+)` \|", part, re.M)
    assert sorted(named) == sorted(name for kind in KINDS for name in choice_names(kind))


def test_the_keys_of_the_result_are_all_described():
    workload = make_workload((2, 3))
    _, result = session.run(workload)
    part = TEXT[TEXT.index("The result (") : TEXT.index("`prefill_ns` and `decode_ns` are")]
    described = set(re.findall(r"`([a-z_0-9]+)`", part))
    assert set(result) <= described
    for key in ("steps", "times", "window", "host_waits"):
        assert set(result[key]) <= described


def test_the_command_runs():
    command = re.search(r"^    (python -m harness\.target .+)$", TEXT, re.M).group(1)
    _, *argv = shlex.split(command)
    done = subprocess.run([sys.executable, *argv], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1])["steps"]["overshoot"] == 1


def test_the_example_of_a_new_strategy_keeps_the_contract(monkeypatch):
    strategies()
    monkeypatch.setattr(registry, "_strategies", dict(registry._strategies))
    choices = {kind: dict(found) for kind, found in registry._choices.items()}
    monkeypatch.setattr(registry, "_choices", choices)
    exec(re.search(r"```python\n(.+?)```", TEXT, re.S).group(1), {})
    workload = make_workload((2, 8, 4))
    generation, decoder = decode("late-check", workload)
    assert torch.equal(generation.tokens, reference(workload))
    executed = generation.steps_executed
    assert decoder.runtime.counters.device_reads == decoder.stop.expected_reads(executed) == 3
