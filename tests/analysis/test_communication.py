"""Which kernels are communication, and what is said where ranks cannot be compared."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.analysis.model.communication import KNOWN, Communication
from harness.analysis.question import Question, StepPattern
from harness.analysis.reports.tables import by_rank, rank_lines
from harness.question import Means
from harness.run.many_traces import collect

from .ranks import US, job

CUSTOM = (
    "void vllm::cross_device_reduce_1stage<__nv_bfloat16, 2>(vllm::RankData*)",
    "void sglang::cross_device_reduce_2stage<half, 8>(sglang::RankData*)",
    "void one_shot_all_reduce_kernel<c10::BFloat16>",
    "two_shot_all_reduce_kernel",
    "multimem_all_reduce_kernel",
    "multimem_one_shot_all_reduce_kernel",
    "tensorrt_llm::kernels::oneShotAllReduceKernel",
    "tensorrt_llm::kernels::ar_fusion::allreduce_fusion_kernel_twoshot_sync",
    "flashinfer::trtllm_allreduce_fusion::allreduce_fusion_kernel_oneshot_lamport",
    "quickreduce::allreduce_prototype_twoshot",
    "void mscclpp::allreduce7<__half>",
    "ncclDevKernel_ReduceScatter_Sum_f32_RING_LL",
)


@pytest.mark.parametrize("name", CUSTOM)
def test_kernels_that_no_rank_leaves_before_the_last_has_come(name: str) -> None:
    assert KNOWN.is_communication(name)
    assert KNOWN.is_collective(name)


@pytest.mark.parametrize(
    "name",
    [
        "ncclDevKernel_SendRecv",
        "ncclKernel_Broadcast_RING_LL_Sum_int8_t",
        "deep_ep::internode::dispatch",
        "all_to_all_kernel",
        "nvshmemi_proxy_quiet",
    ],
)
def test_other_communication(name: str) -> None:
    assert KNOWN.is_communication(name)
    assert not KNOWN.is_collective(name)


@pytest.mark.parametrize(
    "name",
    [
        "void at::native::reduce_kernel<512, 1>",
        "void softmax_warp_forward<WarpAllReduce>",
        "void layernorm<BlockAllReduce<float>>",
        "at::native::vectorized_gather_kernel",
        "cub::DeviceReduceSingleTileKernel",
        "at::native::multi_tensor_apply_kernel",
        "gemm",
    ],
)
def test_what_only_sounds_like_it(name: str) -> None:
    assert not KNOWN.is_communication(name)


def test_the_user_names_others() -> None:
    mine = Communication(("*my_reduce*",))
    assert mine.is_collective("void my_reduce<float>(int)")
    assert mine.is_communication("nccl")
    assert not KNOWN.is_communication("void my_reduce<float>(int)")


def late_by_50(folder: Path, kernel: str, steps: int = 14) -> list[str]:
    """Two ranks; the second is 50 us late at each collective."""
    host = [[10] * steps, [60] * steps]
    return [str(path) for path in job(folder, host, [[30] * steps] * 2, kernel=kernel)]


def asked(paths: list[str], **more: object) -> tuple[list[dict], list[str]]:
    report = collect(paths, Question(by="rank", **more), Means(cached=False))  # type: ignore[arg-type]
    table = by_rank(report)
    names = [column.name for column in table.columns]
    return [dict(zip(names, row, strict=True)) for row in table.rows], rank_lines(report)


@pytest.mark.parametrize("kernel", CUSTOM[:9:2])
def test_a_late_rank_at_a_custom_all_reduce(tmp_path: Path, kernel: str) -> None:
    rows, (line,) = asked(late_by_50(tmp_path, kernel))
    assert [row["made_wait_ns"] for row in rows] == [0, 50 * US]
    assert line.startswith("Rank 1 makes the others wait 50.0 µs per step")


def test_a_late_rank_at_a_kernel_that_the_user_names(tmp_path: Path) -> None:
    paths = late_by_50(tmp_path, "void mine::meet<float>(int)")
    rows, (line,) = asked(paths)
    assert rows == []
    assert "No kernel of these traces is known to be communication" in line
    assert "--comm" in line
    rows, _ = asked(paths, comm=("*mine::meet*",))
    assert [row["made_wait_ns"] for row in rows] == [0, 50 * US]
    assert [row["communication_ns"] for row in rows] == [70 * US, 20 * US]


def test_two_steps_are_compared_and_no_rank_is_called_late(tmp_path: Path) -> None:
    rows, lines = asked(late_by_50(tmp_path, CUSTOM[0], 2))
    assert [row["made_wait_ns"] for row in rows] == [0, 50 * US]
    assert lines == [
        "One or two steps of a trace are compared, between their own edges: too few to call a "
        "rank late."
    ]


def test_not_compared_is_not_no_communication(tmp_path: Path) -> None:
    paths = late_by_50(tmp_path, CUSTOM[0], 14)
    _, lines = asked(paths, patterns=(StepPattern.glob("Nothing *"),))
    assert lines == [
        "Ranks not compared: there are communication kernels, and no steps: choose them with "
        "--step."
    ]
