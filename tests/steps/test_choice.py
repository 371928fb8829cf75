"""Which ranges are taken for steps where nobody names them, and why others are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.analysis.analyze import analyze
from harness.analysis.idle.choose.choice import Chosen, choose
from harness.analysis.idle.sizes import Sizes
from harness.analysis.question import Question
from harness.analysis.readers.open import open_trace
from harness.analysis.store.whole import Whole
from harness.analysis.writer.writer import TraceBuilder

from ..kineto.kineto_json import Event, event, kineto_2_11, launch
from .loops import US, Program

Play = Callable[[Program], object]
ROOT = Path(__file__).parents[2]


def chosen(path: Path) -> Chosen:
    trace = open_trace(path)
    return choose(Whole(trace), Sizes.all(trace))


def repeated(name: str, count: int = 12, launches: int = 6) -> Play:
    """`count` ranges, `{k}` in the name their number."""

    def play(program: Program) -> None:
        for k in range(count):
            program.range(name.format(k=k), launches)
            program.rest(20)

    return play


def each(program: Program, name: str, count: int) -> None:
    for k in range(count):
        program.range(name.format(k=k), 3)


def train(program: Program, steps: int = 12, first: int = 0, name: str = "train_step {k}") -> None:
    """Steps with the usual phases and four layers in them."""

    def step() -> None:
        program.range("data", 0)
        program.range(
            "forward", lambda: [program.range(f"layer {n}", 3) for n in range(4)] and None
        )
        program.range("optimizer", 2)

    for k in range(steps):
        program.range(name.format(k=first + k), step)
        program.rest(20)


def phases(program: Program) -> None:
    for _ in range(12):
        program.range("forward", 10)
        program.range("optimizer", 2)


def in_one(outer: str, inside: Play) -> Play:
    return lambda program: program.range(outer, lambda: inside(program))


def epochs(count: int, steps: int, name: str = "epoch {k}", inner: str = "train_step {k}"):
    def play(program: Program) -> None:
        for k in range(count):
            program.range(name.format(k=k), lambda: train(program, steps, name=inner))

    return play


def nested(outer: str, count: int, inner: str, times: int) -> Play:
    def play(program: Program) -> None:
        for k in range(count):
            program.range(
                outer.format(k=k),
                lambda: each(program, inner, times),
            )
            program.rest(10)

    return play


def after(*plays: Play) -> Play:
    """One after the other."""

    def play(program: Program) -> None:
        for one in plays:
            one(program)

    return play


def with_warm_up(program: Program) -> None:
    program.launch(150, "init")
    train(program)


def uneven(program: Program) -> None:
    for k in range(12):
        program.range("work", 5)
        program.rest(10 if k % 2 else 1000 * (k + 1))


def twelve_a_step(program: Program) -> None:
    """No range of the step itself."""
    for _ in range(10):
        for _ in range(4):
            program.range("mixer", 5)
        program.rest(500)


def by_turns(program: Program) -> None:
    for _ in range(12):
        program.range("model", 10)
        program.range("sample", 1)


def beside_a_loader(program: Program) -> None:
    """Another thread's ranges lie around all that is launched, and launch nothing."""
    loader = Program(101, trace=program.trace)
    loader.now = program.now
    train(program)
    for k in range(12):
        loader.range(f"load_batch {k}", lambda: loader.rest(100))


def crossing(program: Program) -> None:
    """Ranges that are open while the next one is."""
    for k in range(12):
        begin = program.now
        program.launch(5)
        program.trace.nvtx(begin * US, (program.now + 20) * US, f"step {k}", thread=program.thread)


def never_closed(program: Program) -> None:
    for k in range(12):
        begin = program.now
        program.launch(5)
        if k == 4:
            program.trace.nvtx(begin * US, None, f"train_step {k}", thread=program.thread)
        else:
            program.trace.nvtx(
                begin * US, program.now * US, f"train_step {k}", thread=program.thread
            )
        program.rest(20)


def alike(program: Program) -> None:
    """A wildcard would take the other ranges too."""
    for k in range(12):
        program.range(f"step {k}", 5)
        program.range(f"step {k} (log)", 1)


CHOSEN = {
    "the user's own": (train, ["train_step *"]),
    "numbers from and to": (repeated("Step {k}0 to {k}9"), ["Step * to *"]),
    "the harness's own first": (in_one("train 1", lambda p: train(p, name="Step {k}")), None),
    "the profiler's before the user's": (
        nested("ProfilerStep#{k}", 12, "train_step {k}", 1),
        ["ProfilerStep#*"],
    ),
    "one of the profiler's around many steps": (
        in_one("ProfilerStep#7", train),
        ["train_step *"],
    ),
    "one of the profiler's alone": (
        in_one("ProfilerStep#7", lambda p: p.launch(20)),
        ["ProfilerStep#*"],
    ),
    "inside one outer range": (in_one("main", train), ["train_step *"]),
    "inside one epoch": (in_one("epoch 1", train), ["train_step *"]),
    "three epochs of many": (epochs(3, 20), ["train_step *"]),
    "ten epochs are no steps either": (epochs(10, 5), ["train_step *"]),
    "three runs of many": (epochs(3, 20, "run {k}"), ["train_step *"]),
    "three steps of many tokens": (
        nested("iteration {k}", 3, "token {k}", 30),
        ["iteration *"],
    ),
    "six of many": (nested("run {k}", 6, "token {k}", 30), ["run *"]),
    "without numbers": (lambda p: train(p, name="train_step"), ["train_step"]),
    "without numbers and without the word": (repeated("work"), ["work"]),
    "warm-up before": (with_warm_up, ["train_step *"]),
    "beside a thread that launches nothing": (beside_a_loader, ["train_step *"]),
    "one of them never closed": (never_closed, ["train_step *"]),
    "forward and backward in one": (repeated("forward_backward {k}"), ["forward_backward *"]),
    "a step of a decoder": (repeated("decoder step {k}"), ["decoder step *"]),
    "brackets": (repeated("[pl]run_batch {k}"), ["[[]pl]run_batch *"]),
    "what the user marks before what PyTorch does": (
        after(repeated("Torch-Compiled Region: 0/{k}", 40), train),
        ["train_step *"],
    ),
    "what PyTorch marks, if there is nothing else": (
        repeated("Torch-Compiled Region: 0/0"),
        ["Torch-Compiled Region: */*"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CHOSEN)
def test_what_is_taken_for_steps(tmp_path: Path, case: str) -> None:
    play, globs = CHOSEN[case]
    program = Program()
    play(program)
    found = chosen(program.write(tmp_path))
    if globs is None:
        assert found == Chosen(own=True)
    else:
        assert (found.own, list(found.globs), found.regexes) == (False, globs, ()), found.reason
        assert globs[0] in found.reason


@pytest.mark.parametrize(
    ("name", "glob"),
    [
        ("train\n{k}\x1b[0m", "train?*?[[]*m"),
        ("train {k} " + 900 * "x", "train * " + 72 * "x" + "*"),
        ("train {k} " + 69 * "x" + "[y]" + 900 * "z", "train * " + 69 * "x" + "*"),
    ],
)
def test_a_wildcard_can_be_typed(tmp_path: Path, name: str, glob: str) -> None:
    program = Program()
    repeated(name)(program)
    path = program.write(tmp_path)
    found = chosen(path)
    assert found.globs == (glob,)
    assert len(analyze(path, found.asked(Question())).steps.series[0]) == 12


def test_where_a_wildcard_takes_more_an_expression_stands(tmp_path: Path) -> None:
    program = Program()
    alike(program)
    path = program.write(tmp_path)
    found = chosen(path)
    assert (found.globs, found.regexes) == ((), (r"^step\ \d+$",))
    assert [len(one) for one in analyze(path).steps.series] == [12]


REFUSED = {
    "nothing": (lambda p: p.launch(50), ""),
    "operators": (repeated("aten::linear"), ""),
    "operators of emit_nvtx": (repeated("linear, op_id = {k}"), ""),
    "a library": (repeated("cub::DeviceReduce::Sum"), ""),
    "two": (repeated("train_step {k}", 2), ""),
    "forward": (repeated("forward"), "'forward' is a part of a step by its name"),
    "Model Forward": (repeated("Model Forward"), "is a part of a step by its name"),
    "phases": (phases, "'forward' is a part of a step by its name"),
    "DDP's forward": (repeated("DistributedDataParallel.forward"), ""),
    "layers once": (repeated("layer {k}"), "'layer *' is a part of a step by its name"),
    "modules": (repeated("model.layers.{k}.mlp"), "is a part of a step by its name"),
    "numbered anew": (
        after(*[repeated("mix {k}", 8)] * 5),
        "'mix *' is numbered anew again and again, as the parts of a step are",
    ),
    "a small part of the work": (
        after(*[after(repeated("step 7", 1, 2), lambda p: p.launch(10))] * 12),
        "'step *' holds less than half of the launches",
    ),
    "most of the work, and nothing that calls it a step": (
        after(*[after(repeated("work", 1, 6), lambda p: p.launch(4))] * 12),
        "'work' holds 62% of the launches",
    ),
    "a short stretch of the work": (
        after(lambda p: train(p, 4), lambda p: p.launch(900)),
        "'train_step *' holds 6% of the launches",
    ),
    "unevenly": (uneven, "'work' comes back unevenly"),
    "several times a step": (twelve_a_step, "'mixer' comes several times in a longer period"),
    "by turns": (by_turns, "'model' takes turns with others that launch"),
    "crossing": (crossing, "'step *' overlaps itself"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not(tmp_path: Path, case: str) -> None:
    play, reason = REFUSED[case]
    program = Program()
    play(program)
    found = chosen(program.write(tmp_path))
    assert not found.ranges, found
    assert found.reason.endswith(reason)
    assert bool(found.reason) == bool(reason)


def test_without_gpu_rows_the_calls_tell(tmp_path: Path) -> None:
    trace = TraceBuilder(producer="builder", origin="synthetic")
    thread = trace.thread(trace.process(100), 100)
    for k in range(12):
        at = 1_000 * (k + 1)
        trace.api(at + 10, at + 20, "cudaLaunchKernel_v7000", thread=thread)
        trace.nvtx(at, at + 500, f"train_step {k}", thread=thread)
    trace.write(tmp_path / "t.sqlite")
    assert chosen(tmp_path / "t.sqlite").globs == ("train_step *",)


def test_on_the_host_alone_the_numbers_tell(tmp_path: Path) -> None:
    trace = TraceBuilder(producer="builder", origin="synthetic")
    thread = trace.thread(trace.process(100), 100)
    for k in range(12):
        trace.nvtx(1_000 * k + 900, 1_000 * k + 1_800, f"request {k}", thread=thread)
    trace.write(tmp_path / "t.sqlite")
    report = analyze(tmp_path / "t.sqlite")
    assert report.chosen is not None
    assert report.chosen.globs == ("request *",)
    assert [one.steps for one in report.host] == [12]


def annotated(outer: str, inner: str) -> list[Event]:
    made: list[Event] = []
    for k in range(14):
        at = k * 100 * US
        made.append(event("user_annotation", outer.format(k=k), at, at + 99 * US, 100, 100))
        for j in range(7):
            made.append(event("cpu_op", inner, at + j * US, at + (j + 1) * US, 100, 200))
        call, gpu = (at + 10 * US, at + 15 * US), (at + 20 * US, at + 80 * US)
        made += launch("gemm", call, gpu, k + 1)
    return made


@pytest.mark.parametrize("name", ["train_step", "train_step {k}"])
def test_annotations_of_torch_profiler_and_never_its_operators(tmp_path: Path, name: str) -> None:
    path = tmp_path / "t.json"
    path.write_bytes(kineto_2_11(annotated(name, "my_operator")))
    assert chosen(path).globs == (name.replace("{k}", "*"),)


@pytest.mark.parametrize(
    ("name", "globs"),
    [
        ("power_iteration.sqlite", ("Step * to *",)),
        ("mi300x_vllm_decode_graph.json.gz", ("execute_*_context_0(*",)),
        ("v100_dlrm_rank0.json.gz", ("ProfilerStep#*",)),
    ],
)
def test_public_traces(public_traces: Path, name: str, globs: tuple[str, ...]) -> None:
    at = public_traces / name
    assert chosen(at if at.exists() else ROOT / "tests" / "data" / name).globs == globs


def test_our_own_recordings() -> None:
    for path in sorted((ROOT / "traces").glob("*.sqlite")):
        found = analyze(path)
        assert found.chosen is not None
        by_repeats = path.stem == "h100-device-loop"
        assert (found.chosen.own, found.chosen.repeats) == (not by_repeats, by_repeats)
        assert [len(one) for one in found.steps.series] == [20]


def test_what_is_asked_for_is_taken(tmp_path: Path) -> None:
    from harness.analysis.question import patterns_of

    program = Program()
    train(program)
    report = analyze(program.write(tmp_path), Question(patterns=patterns_of(["forward"], [])))
    assert report.chosen is None
    assert [one.pattern for one in report.steps.series] == ["forward"]


def test_the_same_again_by_what_is_typed(tmp_path: Path) -> None:
    program = Program()
    train(program)
    path = program.write(tmp_path)
    first = analyze(path)
    question = first.asked(Question())
    assert question.typed() == ("--step 'train_step *'",)
    again = analyze(path, question)
    assert again.devices == first.devices
    assert [one.steady for one in again.series] == [one.steady for one in first.series]


def test_the_harness_own_need_no_option() -> None:
    report = analyze(ROOT / "traces" / "example-sync.sqlite")
    assert report.asked(Question()).typed() == ()
