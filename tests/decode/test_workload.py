"""The workload: parent and child agree on it, and contradictions are refused in one line."""

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from harness.decode.registry import choice_names, strategy_names
from harness.decode.workload import Workload, eos_schedule
from harness.errors import UsageError
from harness.options import strategies_option, strategy_option, workload_options


def parse(argv):
    """What a command with the shared options gets."""
    seen = []

    @click.command()
    @strategy_option
    @workload_options
    def command(workload):
        seen.append(workload)

    result = CliRunner().invoke(command, argv)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return seen[0]


def test_no_options_are_the_defaults():
    assert parse([]) == Workload()
    assert Workload().to_argv() == []


@st.composite
def workloads(draw):
    new = draw(st.integers(1, 200))
    first = draw(st.integers(0, new - 1))
    batch = draw(st.integers(1, 5))
    ends = st.none() | st.integers(0, new - 1)
    rows = draw(st.none() | st.lists(ends, min_size=batch, max_size=batch))
    return Workload(
        strategy=draw(st.none() | st.sampled_from(strategy_names())),
        cache=draw(st.none() | st.sampled_from(choice_names("cache"))),
        execution=draw(st.none() | st.sampled_from(choice_names("execution"))),
        stop_check=draw(st.none() | st.sampled_from(choice_names("stop_check"))),
        allocator=draw(st.none() | st.sampled_from(choice_names("allocator"))),
        model=draw(st.sampled_from(["gpt2", "tiny", "-x", "a b/c"])),
        device=draw(st.sampled_from(["auto", "cpu", "cuda"])),
        dtype=draw(st.sampled_from(["float32", "bfloat16"])),
        batch_size=batch,
        prompt_tokens=draw(
            st.none() | st.lists(st.integers(0, 9), min_size=1, max_size=4).map(tuple)
        ),
        max_new_tokens=new,
        temperature=draw(st.sampled_from([0.0, 0.7, 1e-3])),
        eos_id=draw(st.sampled_from([None, 0, 7])),
        force_eos_at=rows and ",".join("never" if row is None else str(row) for row in rows),
        seed=draw(st.integers(-5, 5)),
        steps=draw(st.none() | st.just((first, draw(st.integers(first + 1, new))))),
        every_k=draw(st.integers(1, 9)),
        lag=draw(st.integers(1, 9)),
        warmup_steps=draw(st.integers(0, 9)),
    )


@given(workloads())
def test_argv_and_json_bring_it_back(workload):
    assert parse(workload.to_argv()) == workload
    assert Workload.from_json(workload.to_json()) == workload
    assert Workload.from_dict(workload.to_dict()) == workload


def test_no_end_survives_argv():
    assert parse(["--eos-id", "-1"]) == parse(Workload(eos_id=-1).to_argv()) == Workload(eos_id=-1)


def test_keys_of_a_newer_version_are_left_out():
    assert Workload.from_dict({"model": "tiny", "colour": "red"}) == Workload(model="tiny")


def test_several_strategies_stay_the_commands_own():
    seen = []

    @click.command()
    @strategies_option
    @workload_options
    def command(workload, strategies):
        seen.append((workload, strategies))

    argv = ["--strategy", "kv-cache", "--strategy", "deferred", "--model", "tiny"]
    assert CliRunner().invoke(command, argv).exit_code == 0
    assert seen == [(Workload(model="tiny"), ("kv-cache", "deferred"))]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"batch_size": 0}, "--batch-size is 0"),
        ({"lag": 0}, "--lag is 0"),
        ({"steps": (30, 30)}, "--steps 30:30"),
        ({"steps": (90, 120)}, "the 100 steps"),
        ({"steps": (0, 20), "max_new_tokens": 10}, "the 10 steps"),
        ({"temperature": -1.0}, "--temperature"),
        ({"temperature": float("nan")}, "--temperature is nan"),
        ({"temperature": float("inf")}, "--temperature is inf"),
        ({"dtype": "float33"}, "--dtype is 'float33'"),
        ({"prompt_tokens": ()}, "--prompt-tokens is empty"),
        ({"warmup_steps": -1}, "--warmup-steps is -1"),
        ({"batch_size": 3, "force_eos_at": "1,2"}, "names 2 rows, the batch has 3"),
        ({"force_eos_at": "100"}, "'100'"),
        ({"force_eos_at": "-3"}, "'-3'"),
        ({"force_eos_at": "soon"}, "'soon'"),
        ({"force_eos_at": "5", "eos_id": -1}, "no token to force"),
    ],
)
def test_contradictions_are_refused(fields, message):
    with pytest.raises(UsageError, match=message.replace("(", r"\(")) as caught:
        Workload(**fields)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "schedule"),
    [
        (None, None),
        ("5", (5, 5, 5)),
        ("never", (None, None, None)),
        ("1, 7,never", (1, 7, None)),
    ],
)
def test_the_schedule_of_ends(text, schedule):
    assert eos_schedule(Workload(batch_size=3, force_eos_at=text)) == schedule


@pytest.mark.parametrize(
    "argv",
    [
        ["--steps", "30-50"],
        ["--steps", "a:b"],
        ["--prompt-tokens", "1,x"],
        ["--strategy", "nothing"],
        ["--cache", "huge"],
        ["--device", "tpu"],
    ],
)
def test_what_click_refuses_is_a_usage_error(argv):
    @click.command()
    @strategy_option
    @workload_options
    def command(workload):
        raise AssertionError("not reached")

    result = CliRunner().invoke(command, argv)
    assert result.exit_code == 2
    assert argv[0] in result.output
