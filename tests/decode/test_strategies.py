"""Resolving a request to a strategy, what it needs, and how it is listed."""

import io
import json
import re
import subprocess
import sys

import pytest
from click.testing import CliRunner

from harness.commands.strategies import command
from harness.decode import availability, registry
from harness.decode.availability import unavailable_reason
from harness.decode.registry import (
    KINDS,
    choice_names,
    find_strategy,
    needs_of,
    strategies,
    strategy_names,
)
from harness.decode.strategies import resolve
from harness.decode.strategy import Strategy
from harness.decode.workload import Workload
from harness.errors import UsageError

# Name: cache, execution, stop check, allocator.
PRESETS = {
    "baseline": ("none", "eager", "sync", "default"),
    "kv-cache": ("dynamic", "eager", "sync", "default"),
    "kv-cache-expandable": ("dynamic", "eager", "sync", "expandable"),
    "static-cache": ("static", "eager", "sync", "default"),
    "compiled-dynamic": ("dynamic", "compile", "sync", "default"),
    "compiled": ("static", "compile", "sync", "default"),
    "pipelined": ("dynamic", "eager", "pingpong", "default"),
    "pipelined-static": ("static", "eager", "pingpong", "default"),
    "pipelined-compiled": ("static", "compile", "pingpong", "default"),
    "pipelined-published": ("dynamic", "eager", "pingpong-published", "default"),
    "deferred": ("dynamic", "eager", "deferred", "default"),
    "deferred-compiled": ("static", "compile", "deferred", "default"),
    "every-k": ("dynamic", "eager", "every-k", "default"),
    "no-stop-check": ("dynamic", "eager", "never", "default"),
    "cuda-graph": ("static", "cuda-graph", "sync", "default"),
    "cuda-graph-deferred": ("static", "cuda-graph", "deferred", "default"),
    "device-loop": ("static", "cuda-graph", "sync", "default"),
    "hf-generate": ("dynamic", "eager", "sync", "default"),
    "hf-generate-deferred": ("dynamic", "eager", "deferred", "default"),
}


def test_the_presets_and_their_choices():
    assert {s.name: tuple(s.choices.values()) for s in strategies()} == PRESETS


def test_the_choices():
    assert {kind: set(choice_names(kind)) for kind in KINDS} == {
        "cache": {"none", "dynamic", "static"},
        "execution": {"eager", "compile", "cuda-graph"},
        "stop_check": {*("sync", "pingpong", "pingpong-published", "deferred", "every-k", "never")},
        "allocator": {"default", "expandable"},
    }


@pytest.mark.parametrize("strategy", strategies(), ids=lambda found: found.name)
def test_each_says_in_one_line_what_it_does(strategy):
    assert strategy.summary
    assert "\n" not in strategy.summary
    assert len(strategy.summary) < 100
    assert set(needs_of(strategy)) <= set(availability.REQUIREMENTS)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({}, "kv-cache"),
        ({"strategy": "compiled"}, "compiled"),
        ({"strategy": "compiled", "stop_check": "deferred"}, "deferred-compiled"),
        ({"cache": "static"}, "static-cache"),
        ({"strategy": "kv-cache", "cache": "dynamic"}, "kv-cache"),
        ({"cache": "static", "execution": "cuda-graph"}, "cuda-graph"),
        ({"strategy": "compiled", "stop_check": "every-k"}, "static+compile+every-k"),
        ({"strategy": "deferred", "allocator": "expandable"}, "dynamic+eager+deferred+expandable"),
        ({"strategy": "hf-generate", "allocator": "expandable"}, "hf-generate+expandable"),
    ],
)
def test_a_request_becomes_a_strategy(fields, name):
    found = resolve(Workload(**fields))
    assert found.name == name
    wanted = {kind: fields[kind] for kind in KINDS if kind in fields}
    assert found.choices | wanted == found.choices


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"execution": "cuda-graph"}, "fixed shape"),
        ({"execution": "cuda-graph", "cache": "none"}, "fixed shape"),
        ({"strategy": "hf-generate", "cache": "static"}, "takes no --cache"),
        ({"strategy": "nothing"}, "no strategy is called 'nothing'"),
        ({"stop_check": "nothing"}, "no stop check is called 'nothing'"),
    ],
)
def test_a_request_that_makes_no_sense(fields, message):
    with pytest.raises(UsageError, match=message):
        resolve(Workload(**fields))


def test_a_new_strategy_is_one_call(monkeypatch):
    strategies()
    monkeypatch.setattr(registry, "_strategies", dict(registry._strategies))
    registry.strategy("mine", "static and every-k", cache="static", stop_check="every-k", order=5)
    assert strategy_names()[0] == "mine"
    assert resolve(Workload(cache="static", stop_check="every-k")).name == "mine"
    with pytest.raises(ValueError, match="twice"):
        registry.strategy("mine", "again")


def test_no_cuda_is_said_in_one_line(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    availability.unavailable_reason.cache_clear()
    reasons = {s.name: unavailable_reason(s, "auto") for s in strategies()}
    availability.unavailable_reason.cache_clear()
    for name in ("cuda-graph", "cuda-graph-deferred", "kv-cache-expandable"):
        assert reasons[name] == "needs a CUDA GPU, PyTorch sees none here"
    assert reasons["hf-generate-deferred"].endswith("needs device events, a CPU has none")
    assert reasons["kv-cache"] is None
    assert not any("\n" in reason for reason in reasons.values() if reason)


def test_no_compiler_is_said_in_one_line(monkeypatch):
    monkeypatch.setattr(availability.shutil, "which", lambda name: None)
    availability.unavailable_reason.cache_clear()
    reason = unavailable_reason(find_strategy("compiled"), "cpu")
    availability.unavailable_reason.cache_clear()
    assert reason == "torch.compile on a CPU needs a C++ compiler (g++), none is on PATH"


def test_no_torch_is_said_in_one_line(monkeypatch):
    monkeypatch.setattr(availability.importlib.util, "find_spec", lambda name: None)
    availability.unavailable_reason.cache_clear()
    reason = unavailable_reason(find_strategy("kv-cache"), "auto")
    availability.unavailable_reason.cache_clear()
    assert "pip install" in reason


def test_a_transformers_without_the_deferred_check(monkeypatch):
    import torch
    from transformers.generation import utils

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.delattr(utils, "DeferredStopCheck")
    availability.unavailable_reason.cache_clear()
    reason = unavailable_reason(find_strategy("hf-generate-deferred"), "cuda")
    availability.unavailable_reason.cache_clear()
    assert "has no DeferredStopCheck" in reason


def test_listing_in_a_pipe_is_one_whole_line_each():
    result = CliRunner().invoke(command, ["--device", "cpu"])
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert len(lines) == 1 + len(PRESETS)
    for line, strategy in zip(lines[1:], strategies(), strict=True):
        assert line.startswith(strategy.name + " ")
        assert strategy.summary in line
        reason = unavailable_reason(strategy, "cpu")
        assert line.endswith(f"(not here: {reason})" if reason else strategy.summary)
    assert sum("UNSAFE" in line for line in lines) == 1
    assert "\x1b" not in result.output


def test_listing_of_the_choices():
    result = CliRunner().invoke(command, ["--choices"])
    lines = result.output.splitlines()
    assert len(lines) == 1 + sum(len(choice_names(kind)) for kind in KINDS)


def test_listing_as_json():
    values = json.loads(CliRunner().invoke(command, ["--json", "--device", "cpu"]).output)
    by_name = {found["name"]: found for found in values["strategies"]}
    assert list(by_name) == list(PRESETS)
    assert by_name["pipelined-published"]["safe"] is False
    assert by_name["baseline"]["host_reads_per_step"] == 2
    assert by_name["hf-generate"]["host_reads_per_step"] is None
    assert by_name["cuda-graph"]["needs"] == ["cuda"]
    assert by_name["cuda-graph"]["unavailable_reason"]


def test_a_terminal_of_80_columns_is_not_overrun(monkeypatch):
    from harness.decode import listing

    class Terminal:
        def __init__(self):
            self.text = ""

        def isatty(self):
            return True

        def write(self, text):
            self.text += text

        def flush(self):
            pass

    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    out = Terminal()
    listing.show(listing.strategy_rows("cpu"), out)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", out.text).splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines if line[0] != " "] == ["strategy", *PRESETS]
    assert "…" not in out.text
    words = {word for line in lines for word in line.split()}
    assert {word for strategy in strategies() for word in strategy.summary.split()} <= words


def test_the_registry_imports_no_torch():
    code = (
        "import sys; from harness import options; from harness.decode.registry import strategies;"
        "strategies(); print('torch' in sys.modules, 'transformers' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False False\n"


def test_a_strategys_needs_come_from_its_choices():
    assert needs_of(Strategy("x", "", execution="compile", allocator="expandable")) == (
        "compiler",
        "cuda",
    )


@pytest.mark.parametrize("name", ["hf-generate", "device-loop"])
def test_the_option_that_is_refused_is_the_one_named(name):
    asked = Workload(strategy=name, stop_check="every-k", allocator="expandable")
    with pytest.raises(UsageError, match=f"{name} is .* takes no --stop-check"):
        resolve(asked)


def test_the_compiler_that_inductor_would_call_is_looked_for(monkeypatch):
    monkeypatch.setattr(availability.shutil, "which", lambda name: name == "g++" or None)
    monkeypatch.setenv("CXX", "clang++")
    availability.unavailable_reason.cache_clear()
    reason = unavailable_reason(find_strategy("compiled"), "cpu")
    availability.unavailable_reason.cache_clear()
    assert reason == "torch.compile on a CPU needs a C++ compiler (clang++), none is on PATH"


def test_a_terminal_sees_brackets_and_colons_as_they_are():
    from harness.decode import listing

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    out = Terminal()
    listing.show((("a", "b"), [("x", "'nsys-harness[record]' :100:")]), out)
    assert "'nsys-harness[record]' :100:" in out.getvalue()
