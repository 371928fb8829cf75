"""Ranges: their names and colours, made once, counted, and honest about whether anyone listens."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from harness import nvtx
from harness.nvtx import NvtxStatus, Ranges, nvtx_status, version_tuple

from .support import FakeGraphRuntime, make_workload


class Recorder:
    """Makes ranges that log their pushes and pops."""

    def __init__(self):
        self.log, self.made = [], []

    def __call__(self, name, colour):
        self.made.append((name, colour))
        return nvtx.Range(lambda: self.log.append(name), lambda: self.log.append("/" + name))


def run(strategy, workload, window=None, runtime=None):
    from harness.decode import session
    from harness.decode.registry import find_strategy
    from harness.decode.window import CaptureWindow

    from .support import tiny_model

    recorder = Recorder()
    ranges = Ranges(workload.max_new_tokens, make=recorder)
    runtime = runtime or FakeGraphRuntime()
    decoder = session.make_decoder(tiny_model(), workload, runtime, ranges, find_strategy(strategy))
    decoder.prepare()
    recorder.log.clear()
    made = len(recorder.made)
    decoder.run(CaptureWindow(window, runtime, ranges))
    assert len(recorder.made) == made, "a range was made during the run"
    return recorder, ranges


STEP = "Step {0}|Model Forward|/Model Forward|Check Stop Condition|/Check Stop Condition|/Step {0}"


@pytest.mark.parametrize(
    "strategy", ["baseline", "kv-cache", "pipelined", "deferred", "cuda-graph", "hf-generate"]
)
def test_each_step_holds_a_forward_pass_and_a_stop_check(strategy):
    recorder, ranges = run(strategy, make_workload(max_new_tokens=3))
    assert "|".join(recorder.log) == "|".join(STEP.format(step) for step in range(3))
    assert ranges.issued == 9


def test_colours_are_the_articles():
    ranges_made = Recorder()
    Ranges(2, make=ranges_made)
    assert dict(ranges_made.made) == {
        "Step 0": "blue",
        "Step 1": "blue",
        "Model Forward": "green",
        "Check Stop Condition": "purple",
        "harness capture": "orange",
    }


@pytest.mark.parametrize("strategy", ["kv-cache", "pipelined", "hf-generate"])
def test_on_a_cpu_the_capture_range_is_exactly_around_the_window(strategy):
    from harness.runtime.cpu import CpuRuntime

    recorder, _ = run(strategy, make_workload(max_new_tokens=6), (2, 4), CpuRuntime())
    log = recorder.log
    assert log.count("harness capture") == log.count("/harness capture") == 1
    inside = log[log.index("harness capture") + 1 : log.index("/harness capture")]
    assert "|".join(inside) == STEP.format(2) + "|" + STEP.format(3)


@pytest.mark.parametrize("strategy", ["kv-cache", "pipelined", "hf-generate"])
def test_elsewhere_the_profiler_opens_between_two_synchronises(strategy):
    runtime = FakeGraphRuntime()
    recorder, _ = run(strategy, make_workload(max_new_tokens=6), (2, 4), runtime)
    assert "harness capture" not in recorder.log
    edges = [entry for entry in runtime.log if entry not in ("captured", "replay")]
    # One synchronise ends prepare(), one begins run(), one ends it.
    assert edges[2:-1] == ["synchronize", "profiler start", "synchronize", "profiler stop"]


def test_an_early_end_closes_the_window():
    runtime = FakeGraphRuntime()
    run("kv-cache", make_workload((3, 3)), (2, 9), runtime)
    assert runtime.log.count("profiler start") == runtime.log.count("profiler stop") == 1


def test_an_error_inside_the_window_closes_it_and_its_ranges():
    runtime, recorder = FakeGraphRuntime(), Recorder()
    from harness.decode import session
    from harness.decode.registry import find_strategy
    from harness.decode.window import CaptureWindow

    from .support import tiny_model

    ranges = Ranges(12, make=recorder)
    decoder = session.make_decoder(
        tiny_model(), make_workload(), runtime, ranges, find_strategy("kv-cache")
    )
    decoder.prepare()
    recorder.log.clear()
    decoder.stop.should_stop = lambda step: bool(step == 4 and 1 // 0)
    with pytest.raises(ZeroDivisionError):
        decoder.run(CaptureWindow((2, 9), runtime, ranges))
    assert runtime.log[-1] == "profiler stop"
    opened = [name for name in recorder.log if not name.startswith("/")]
    assert len(opened) * 2 == len(recorder.log)


def test_the_installed_nvtx_takes_a_range_again_and_again():
    pytest.importorskip("nvtx", reason="needs the nvtx package")
    ranges = Ranges(3)
    for _ in range(2):
        with ranges.steps[1], ranges.forward:
            pass
    assert ranges.issued == 4
    assert ranges.steps[1].count == 2
    ranges.reset()
    assert ranges.issued == 0


@pytest.mark.parametrize(
    ("version", "dummy", "tool", "torch_binding", "expected"),
    [
        ("0.2.11", False, None, None, ("nvtx", None, False)),
        ("0.2.11", False, "libToolsInjection64.so", None, ("nvtx", True, False)),
        ("0.2.17", False, "libToolsInjection64.so", None, ("nvtx", True, False)),
        ("0.2.17", True, None, None, ("nvtx", False, False)),
        # The silent trap: a profiler is there, nvtx thinks it is not.
        ("0.2.12", True, "libToolsInjection64.so", None, ("nvtx", False, True)),
        # PyTorch built with CUDA has a binding of its own that does not ask.
        ("0.2.12", True, "libToolsInjection64.so", object(), ("torch", True, False)),
    ],
)
def test_whether_ranges_reach_a_tool(monkeypatch, version, dummy, tool, torch_binding, expected):
    domain = type("DummyDomain" if dummy else "Domain", (), {})()
    module = SimpleNamespace(enabled=lambda: True, get_domain=lambda name: domain)
    monkeypatch.setitem(sys.modules, "nvtx", module)
    monkeypatch.setattr(nvtx.importlib.metadata, "version", lambda name: version)
    monkeypatch.setattr(nvtx, "loaded_tool", lambda: tool)
    monkeypatch.setattr(nvtx, "_torch_nvtx", lambda: torch_binding)
    status = nvtx_status()
    assert (status.backend, status.recorded, status.problem is not None) == expected
    assert (status.problem is None) == (status.remedy is None)


def test_pytorchs_binding_is_used_where_nvtx_would_say_nothing(monkeypatch):
    log = []
    binding = SimpleNamespace(rangePushA=log.append, rangePop=lambda: log.append("pop"))
    monkeypatch.setattr(nvtx, "_torch_nvtx", lambda: binding)
    monkeypatch.setattr(nvtx, "nvtx_status", lambda: NvtxStatus("0.2.17", "x", True, "torch"))
    with Ranges(1).steps[0]:
        pass
    assert log == ["Step 0", "pop"]


def test_a_missing_package_is_a_warning_and_not_a_crash(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "nvtx", None)
    ranges = Ranges(2)
    with ranges.steps[0], ranges.forward:
        pass
    assert nvtx_status().version is None
    assert nvtx_status().recorded is False
    assert capsys.readouterr().err == (
        "harness: warning: the nvtx package is not installed; pip install nvtx "
        "[ranges-not-recorded]\n"
    )


def test_nvtx_disable_is_noticed():
    pytest.importorskip("nvtx", reason="needs the nvtx package")
    code = "from harness.nvtx import nvtx_status; print(nvtx_status().problem)"
    found = subprocess.run(
        [sys.executable, "-c", code],
        env={"NVTX_DISABLE": "1", "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout == "NVTX_DISABLE is set: no ranges\n"


def test_a_tool_is_found_by_its_environment_variable(monkeypatch):
    monkeypatch.setenv("NVTX_INJECTION64_PATH", "/opt/nvidia/libToolsInjection64.so")
    assert nvtx.loaded_tool() == "libToolsInjection64.so"


@pytest.mark.parametrize(
    ("text", "parts"), [("0.2.12", (0, 2, 12)), ("0.2.14.post1", (0, 2, 14)), ("1.0rc1", (1,))]
)
def test_versions(text, parts):
    assert version_tuple(text) == parts
