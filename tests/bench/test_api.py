"""The Python API: the worked example of docs/api.md runs, and importing costs nothing."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import click
import numpy as np
import pytest

from harness import decode, profile
from harness.errors import HarnessError, TraceError, UsageError
from harness.runtime.cpu import CpuRuntime

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks() -> list[tuple[str, str, str]]:
    """(language, mark, code) of every block in docs/api.md."""
    text = (ROOT / "docs" / "api.md").read_text()
    return [(kind, mark.strip(), code) for kind, mark, code in BLOCK.findall(text)]


def test_the_worked_example_runs(environment: dict[str, str], tmp_path: Path) -> None:
    code = "\n".join(code for kind, mark, code in blocks() if kind == "python" and not mark)
    assert all(call in code for call in ("decode.run(", "profile.steps(", "profile.time("))
    (tmp_path / "traces").mkdir()
    shutil.copy(ROOT / "traces" / "example-sync.sqlite", tmp_path / "traces")
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said[0] == "torch.Size([4, 66])"
    assert said[1] == "{'executed': 50, 'needed': 50, 'kept': 50, 'overshoot': 0}"
    assert re.fullmatch(r"59 steps, median [\d.]+ µs", said[3])
    assert re.fullmatch(r"\d+ µs \(\d+\.\.\d+\)", said[4])
    assert said[5].startswith(("without takes ", "not significant"))
    kind, answer, *gains = said[6:-1]
    assert f"print(answer.kind)  # {kind}\n" in code
    assert f"print(answer.text)  # {answer.partition('%), ')[0]}%), ...\n" in code
    assert "wait Check Stop Condition 55.6 µs a step" in [" ".join(one.split()) for one in gains]
    assert said[-1] == "give or take 0.0 µs"


def test_the_example_records_itself(environment: dict[str, str], tmp_path: Path) -> None:
    if shutil.which("nsys") is None:
        pytest.skip("nsys is not on PATH: the recording of docs/api.md not run (.ci/install-nsys)")
    (script,) = [code for _, mark, code in blocks() if mark == "file=my_loop.py"]
    (tmp_path / "my_loop.py").write_text(script)
    (shell,) = [code for kind, _, code in blocks() if kind == "console"]
    code = "\n".join(code for _, mark, code in blocks() if mark == "nsys")
    program, *args = shlex.split(shell)
    assert program == "harness"
    args[args.index("python")] = sys.executable
    done = subprocess.run(
        [sys.executable, "-m", "harness", *args, ],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "20 steps" in done.stderr
    shutil.rmtree(tmp_path / "traces")
    done = subprocess.run(
        [sys.executable, "-c", "from harness import profile\n" + code],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "20 steps; ['host-only']\n5 steps\n" in done.stdout


def test_a_trace_larger_than_the_memory_allowed_gives_its_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.run import memory

    trace, question = ROOT / "traces" / "example-sync.sqlite", profile.Question(steps=(35, 40))
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    known = profile.gaps(trace, question)
    monkeypatch.setattr(memory, "needed", lambda path: 10**12)
    found = profile.gaps(trace, question, profile.Means(memory=10**9, cached=False))
    assert len(known.attributions) == 1
    assert found.attributions == ()  # no rows
    assert found.series[0].steady == known.series[0].steady
    assert found.host == known.host
    assert known.host[0].steps == 5
    assert not (tmp_path / "cache").exists()
    with pytest.raises(TraceError, match="holds all rows"):
        profile.gaps(trace, question, profile.Means(memory=10**9, cached=False, rows=True))


def test_importing_is_cheap() -> None:
    code = (
        "import sys, time; began = time.process_time(); import harness; "
        "from harness import profile, decode; took = time.process_time() - began; "
        "sys.exit('torch' in sys.modules or 'numpy' in sys.modules or took > 0.5)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_is_not_there_is_an_attribute_error() -> None:
    import harness

    assert harness.profile is profile
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        harness.nothing  # noqa: B018
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        decode.nothing  # noqa: B018


def test_decode_takes_a_workload_or_fields_and_a_model() -> None:
    from harness.decode.models import load_model
    from harness.runtime import open_runtime

    fields = {"model": "tiny", "device": "cpu", "batch_size": 2, "max_new_tokens": 9}
    one, _ = decode.run("kv-cache", **fields)
    workload = decode.Workload(strategy="deferred", steps=None, **fields)
    two, result = decode.run(workload)
    assert result["strategy"] == "deferred"
    model = load_model(workload, open_runtime("cpu").device)
    three, _ = decode.run("static-cache", **{**fields, "model": model})
    assert one.tokens.tolist() == two.tokens.tolist() == three.tokens.tolist()
    assert "pipelined" in [strategy.name for strategy in decode.all_strategies()]
    with pytest.raises(UsageError, match="no strategy is called 'nothing'"):
        decode.run("nothing", **fields)


def test_steps_are_counted_timed_and_windowed_even_after_a_break() -> None:
    steps = profile.steps(10, window=(2, 8), device="cpu")
    seen = []
    for step in steps:
        seen.append(step)
        with steps.forward:
            time.sleep(0.01)
        if step == 5:
            break
    assert seen == [0, 1, 2, 3, 4, 5]
    assert len(steps.steps_ns) == 5
    assert (steps.steps_ns >= 10_000_000).all()
    assert (steps._window.opened, steps._window.closed) == (True, True)
    assert steps.forward.count == 6
    with pytest.raises(HarnessError, match="iterated before"):
        list(steps)
    with pytest.raises(UsageError, match="does not lie within 10 steps"):
        profile.steps(10, window=(5, 11), device="cpu")


def test_timing_finds_a_difference_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock that the functions themselves move, by what they take give or take 2%."""
    now = 0
    monkeypatch.setattr(CpuRuntime, "now_ns", lambda runtime: now)
    false_alarms = held = 0
    for seed in range(100):
        noise = np.random.default_rng(seed)

        def take(ns: int, noise: np.random.Generator = noise) -> None:
            nonlocal now
            now += round(ns * noise.normal(1, 0.02))

        timings = profile.time(
            {
                "short": lambda: take(4_000),
                "same": lambda: take(4_000),
                "long": lambda: take(8_000),
            },
            rounds=10,
            device="cpu",
        )
        assert {len(ns) for ns in timings.ns.values()} == {10}
        assert timings.median("long").estimate == pytest.approx(8_000, rel=0.03)
        ratio, p = timings.ratio("short", "long")
        assert p <= 0.05
        assert 1.8 < ratio.low < ratio.high < 2.2
        held += ratio.low <= 2 <= ratio.high
        ratio, p = timings.ratio("short", "same")
        false_alarms += p <= 0.05 and not ratio.low <= 1 <= ratio.high
    assert held >= 90
    assert false_alarms <= 5


def test_timing_goes_by_the_hosts_clock() -> None:
    timings = profile.time({"nap": lambda: time.sleep(0.004)}, rounds=3, device="cpu")
    assert (timings.ns["nap"] >= 4_000_000).all()


def test_timing_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="nothing to time"):
        profile.time({}, device="cpu")


COMMAND = re.compile(r"^ *harness ((?:bench|results|compare|profile) .*?)(?: +#.*)?$", re.MULTILINE)


def documented() -> list[str]:
    texts = [(ROOT / "docs" / "bench.md").read_text()]
    workflow = (ROOT / "docs" / "examples" / "github-actions.yml").read_text()
    texts.append(workflow.replace("\\\n", " "))
    return [line for text in texts for line in COMMAND.findall(text)]


@pytest.mark.parametrize("line", documented())
def test_documented_commands_have_the_options_they_use(line: str) -> None:
    """Parsed as the command line would be; running them is the other tests' work."""
    from harness.cli import cli

    words = shlex.split(line)
    context = click.Context(cli)
    command = cli.get_command(context, words[0])
    parsed = command.make_context(words[0], words[1:], parent=context, resilient_parsing=False)
    assert parsed.params


def test_the_workflow_fails_by_the_exit_code_of_compare() -> None:
    lines = [line for line in documented() if line.startswith("compare before after")]
    assert lines[-1] == "compare before after --fail-above 5%"
    assert any(line.startswith("profile --label loop") for line in documented())
