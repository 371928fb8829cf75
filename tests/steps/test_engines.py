"""Steps of inference engines: one family, prefill and decode told apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.analysis.analyze import analyze
from harness.analysis.idle.engines import engine_of, kind_of
from harness.analysis.idle.sizes import Sizes
from harness.analysis.question import Question
from harness.analysis.readers.metadata import read_metadata
from harness.analysis.readers.open import open_trace
from harness.analysis.readers.sqlite.database import open_database
from harness.analysis.store.opened import Store
from harness.analysis.store.save import save_trace

from ..store.compare import figures, in_detail, ordered
from .loops import US, Program

NAMES = [
    ("execute_context_0(0)_generation_32(32)", "vLLM", "decode"),
    ("execute_context_1(983)_generation_0(0)", "vLLM", "prefill"),
    ("execute_context_2(2048)_generation_14(14)", "vLLM", "prefill"),
    ("execute_context_10(512)_generation_0(0)", "vLLM", "prefill"),
    (
        "execute_32_context_0(sq0sk0sqsq0sqsk0)_generation_32(sq32sk55086sqsq32sqsk55086)",
        "vLLM",
        "decode",
    ),
    (
        "execute_1025_context_1(sq1024sk1024sqsq1sqsk1)_generation_1(sq1sk300sqsq1sqsk300)",
        "vLLM",
        "prefill",
    ),
    ("step[DECODE bs=32]", "SGLang", "decode"),
    ("step[DECODE bs=2 g_sqsq=2 g_sqsk=30 g_sk=30]", "SGLang", "decode"),
    ("step[TARGET_VERIFY bs=4]", "SGLang", "decode"),
    ("step[EXTEND bs=2 toks=4096]", "SGLang", "prefill"),
    ("step[MIXED bs=2 c=1 g=1]", "SGLang", "prefill"),
    ("[Executor] _forward_step 6: 0 ctx reqs, 0 ctx tokens, 32 gen reqs", "TensorRT-LLM", "decode"),
    ("[Executor] _forward_step 7: 2 ctx reqs, 30 gen reqs", "TensorRT-LLM", "prefill"),
    ("[Executor] _forward_step: 0 ctx reqs, 3 gen reqs", "TensorRT-LLM", "decode"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "engine", "kind"), NAMES)
def test_names(name: str, engine: str, kind: str) -> None:
    found = engine_of(name)
    assert found is not None
    assert found.name == engine
    one = kind_of(found, name)
    assert one is not None
    assert one.name == kind


@pytest.mark.parametrize(
    "name",
    [
        "execute_context",
        "execute_new_3",
        "step[IDLE bs=0]",
        "step[x]",
        "step 3",
        "Step 3",
        "decode",
    ],
)
def test_names_of_others(name: str) -> None:
    assert engine_of(name) is None


VLLM = "execute_context_0(0)_generation_8(8)", "execute_context_1(512)_generation_7(7)"
SGLANG = "step[DECODE bs=8]", "step[EXTEND bs=1 toks=512]"


def serving(
    names: tuple[str, str], *, prefills: tuple[int, ...] = (0, 9, 21), steps: int = 30
) -> Program:
    """Decode steps of 5 kernels, a period of 45 us; at some places a prefill of 40 kernels comes
    before. The host waits for each step."""
    decode, prefill = names
    program = Program()

    def step(name: str, launches: int) -> None:
        program.range(name, launches)
        program.now = max(program.now, program.gpu + 2)

    def serve() -> None:
        for k in range(steps):
            if k in prefills:
                step(prefill, 40)
            step(decode, 5)

    program.range("serve", serve)
    return program


@pytest.mark.parametrize("names", [VLLM, SGLANG])
def test_decode_is_the_steady_state_and_prefill_stands_apart(
    tmp_path: Path, names: tuple[str, str]
) -> None:
    report = analyze(serving(names).write(tmp_path))
    decode, prefill = report.series
    assert (len(decode.table), len(prefill.table)) == (30, 3)
    assert report.chosen is not None
    assert f"'{decode.pattern}' (30, decode)" in report.chosen.reason
    assert f"'{prefill.pattern}' (3, prefill)" in report.chosen.reason
    # As many as without any prefill, but those before one and at the edges; and as long.
    alone = analyze(serving(names, prefills=()).write(tmp_path)).series[0]
    assert decode.steady is not None
    assert alone.steady is not None
    assert decode.steady.steps == alone.steady.steps - 2
    assert decode.steady.busy_ns == alone.steady.busy_ns == 5 * 8 * US
    assert decode.steady.period_ns == pytest.approx(alone.steady.period_ns, abs=2 * US)
    # A prefill's period ends with its own work.
    assert prefill.steady is not None
    assert prefill.steady.steps == 1
    assert prefill.steady.busy_ns == 40 * 8 * US
    assert prefill.steady.period_ns < 40 * 8 * US + 20 * US


def test_nothing_is_missing_and_nothing_waits_for_a_name(tmp_path: Path) -> None:
    codes = [v.code for v in analyze(serving(VLLM).write(tmp_path)).verdicts]
    assert set(codes) <= {"few-steps"}  # of the prefill


def test_the_same_by_what_is_typed_and_in_parts(tmp_path: Path) -> None:
    path = serving(SGLANG).write(tmp_path)
    trace = open_trace(path)
    first = analyze(trace)
    question = first.asked(Question())
    assert question.typed() == (
        r"--step-regex '^step\[(DECODE|TARGET_VERIFY|VERIFY)\b'",
        r"--step-regex '^step\[(EXTEND|MIXED|SPLIT_PREFILL)\b'",
    )
    again = analyze(trace, question)
    assert [one.steady for one in again.series] == [one.steady for one in first.series]
    (tmp_path / "store").mkdir()
    save_trace(trace, read_metadata(open_database(path)), tmp_path / "store")
    store = Store(tmp_path / "store", path)
    for size in (1, 7, 50):
        parts = analyze(store, in_detail(Question()), Sizes(size, size))
        assert ordered(figures(parts)) == ordered(figures(first))


def test_one_kind_alone_is_one_series(tmp_path: Path) -> None:
    report = analyze(serving(VLLM, prefills=()).write(tmp_path))
    assert [one.pattern for one in report.series] == ["execute_context_0(*"]
    assert report.steps.series[0].between is None


def test_prefill_after_prefill_has_whole_periods(tmp_path: Path) -> None:
    program = Program()
    for _ in range(12):
        program.range(VLLM[1], 40)
        program.now = max(program.now, program.gpu) + 100
    (series,) = analyze(program.write(tmp_path)).series
    assert series.steady is not None
    assert series.steady.steps == 10
    assert series.steady.period_ns > 40 * 8 * US
