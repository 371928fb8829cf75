"""What PyTorch says of a collective stands in the name of its kernel."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from harness.analysis.model.communication import KNOWN, among, of_group
from harness.analysis.model.names import operation_name
from harness.analysis.question import Question
from harness.analysis.readers.open import open_trace
from harness.analysis.reports.tables import by_rank, rank_lines
from harness.question import Means
from harness.run.many_traces import collect

from .kineto_json import event, kineto_2_11, launch

US = 1000
GENERIC = "ncclDevKernel_Generic_4(ncclDevKernelArgsStorage<4096ul>)"


@pytest.mark.parametrize(
    ("args", "name", "collective"),
    [
        (
            {"Collective name": "allreduce_coalesced", "Process Group Name": "11",
             "Process Group Description": "tp"},
            f"{GENERIC} [allreduce_coalesced, tp]",
            True,
        ),
        (
            {"Collective name": "send", "Process Group Name": "3",
             "Process Group Description": "undefined"},
            f"{GENERIC} [send, 3]",
            False,
        ),
        ({"Collective name": "_allgather_base"}, f"{GENERIC} [_allgather_base]", True),
        ({"Collective name": 7}, GENERIC, False),
        ({}, GENERIC, False),
    ],
)  # fmt: skip
def test_collective_and_group(
    tmp_path: Path, args: dict[str, object], name: str, collective: bool
) -> None:
    path = tmp_path / "t.json"
    kernel = event("kernel", GENERIC, 0, 9000, 0, 7, device=0, stream=7, correlation=1)
    kernel["args"] |= args
    path.write_bytes(kineto_2_11([kernel]))
    found = operation_name(open_trace(path), 0)
    assert found == name
    assert KNOWN.is_communication(found)
    assert KNOWN.is_collective(found) == collective


def rank_file(folder: Path, rank: int, late_us: int, tp: list[int], dp: list[int]) -> str:
    """14 steps of 200 us: 50 of computing, `late_us` later an all-reduce of the tensor parallel
    ranks that ends at 150, and one of the data parallel ranks from 160 to 170."""
    made = []
    for k in range(14):
        at, number = k * 200 * US, iter(range(3 * k + 1, 3 * k + 4))
        made.append(event("user_annotation", f"ProfilerStep#{k}", at, at + 199 * US, 1, 1))
        for name, begin, end, group, ranks in (
            ("gemm", 10 + late_us, 60 + late_us, "", []),
            (GENERIC, 60 + late_us, 150, "tp", tp),
            (GENERIC, 160, 170, "dp", dp),
        ):
            one = launch(name, (at + 2 * US, at + 3 * US), (at + begin * US, at + end * US),
                         next(number), pid=1, tid=1)  # fmt: skip
            if group:
                one[1]["args"] |= {
                    "Collective name": "allreduce",
                    "Process Group Description": group,
                    "Process Group Ranks": str(ranks),
                }
            made += one
    head = f'"distributedInfo": {{"rank": {rank}, "world_size": 4}},'
    path = folder / f"rank{rank}.json"
    path.write_bytes(kineto_2_11(made, head=head))
    return str(path)


def compared(paths: list[str]) -> tuple[list[tuple[object, object]], list[str]]:
    report = collect(paths, Question(by="rank"), Means(cached=False))
    table = by_rank(report)
    at = [[c.name for c in table.columns].index(n) for n in ("made_wait_ns", "collectives")]
    return [(row[at[0]], row[at[1]]) for row in table.rows], rank_lines(report)


def test_ranks_of_one_group_are_compared_at_its_collectives_alone(tmp_path: Path) -> None:
    paths = [
        rank_file(tmp_path, 0, 0, [0, 1], [0, 2]),
        rank_file(tmp_path, 1, 40, [0, 1], [1, 3]),
    ]
    rows, lines = compared(paths)
    assert rows == [(0, 12), (40 * US, 12)]
    assert lines[0].startswith("Rank 1 makes the others wait 40.0 µs per step")
    assert any("24 collectives are of process groups" in line for line in lines)


def test_groups_of_one_name_are_not_mixed_up(tmp_path: Path) -> None:
    paths = [
        rank_file(tmp_path, 0, 0, [0, 1], [0, 2]),
        rank_file(tmp_path, 3, 40, [2, 3], [1, 3]),
    ]
    rows, (line,) = compared(paths)
    assert rows == []
    assert line == (
        "Ranks not compared: their collectives are among other ranks each: give the ranks of one "
        "process group."
    )


def numbered_file(folder: Path, rank: int, lost: int, said: str, first: int = 1) -> str:
    """14 steps of 200 us with two all-reduces each, of which this rank skipped that numbered
    `lost`; rank 1 comes 20 us late to the first and 30 us to the second of a step.

    `said`: by the operator that began the collective, by its kernel, or nowhere.
    """
    made, calls = [], itertools.count(1)
    for k in range(14):
        at = k * 200 * US
        made.append(event("user_annotation", f"ProfilerStep#{k}", at, at + 199 * US, 1, 1))
        for which, (begin, late, end) in enumerate(((40, 20, 80), (100, 30, 190))):
            number = 2 * k + which + first
            if number == lost:
                continue
            sequence = {} if said == "nowhere" else {"Seq": number}
            asked = (at + 2 * US, at + 3 * US)
            call, kernel = launch(
                GENERIC, asked, (at + (begin + late * rank) * US, at + end * US), next(calls),
                pid=1, tid=1,
            )  # fmt: skip
            kernel["args"] |= {"Collective name": "allreduce", "External id": 100 + number}
            operator = event("cpu_op", "record_param_comms", *asked, 1, 1)
            operator["args"] = {"External id": 100 + number, "Collective name": "allreduce"}
            (operator if said == "operator" else kernel)["args"] |= sequence
            made += [operator, call, kernel]
    path = folder / f"rank{rank}.json"
    path.write_bytes(kineto_2_11(made, head=f'"distributedInfo": {{"rank": {rank}}},'))
    return str(path)


@pytest.mark.parametrize(("said", "steps"), [("operator", 11), ("kernel", 11), ("nowhere", 12)])
def test_collectives_are_matched_by_their_sequence_numbers(
    tmp_path: Path, said: str, steps: int
) -> None:
    """Rank 0 lacks the first of step 5, rank 1 the second: by order, one would be the other."""
    paths = [numbered_file(tmp_path, rank, 11 + rank, said) for rank in (0, 1)]
    rows, lines = compared(paths)
    assert [row[1] for row in rows] == [2 * steps - (said == "nowhere")] * 2
    if said != "nowhere":
        assert rows[1] == (50 * US, 2 * steps)
        assert "1 step left out: not all ranks have the same collectives there" in lines[1]


def test_ranks_that_number_otherwise_are_matched_by_order(tmp_path: Path) -> None:
    paths = [numbered_file(tmp_path, rank, -1, "kernel", first=1 + 1000 * rank) for rank in (0, 1)]
    rows, _ = compared(paths)
    assert rows == [(0, 24), (50 * US, 24)]


def test_a_sequence_number_that_is_none_is_not_one(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    kernels = [
        event("kernel", GENERIC, k * 9000, k * 9000 + 900, 0, 7, device=0, stream=7, correlation=k)
        for k in range(5)
    ]
    for kernel, number in zip(kernels, (3, "4", -1, 2**40, "x"), strict=True):
        kernel["args"] |= {"Collective name": "allreduce", "Seq": number}
    path.write_bytes(kineto_2_11(kernels))
    assert open_trace(path).operations.sequence.tolist() == [3, 4, -1, -1, -1]


def test_an_operator_without_an_id_numbers_no_kernel(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    operator = event("cpu_op", "record_param_comms", 0, 9, 1, 1)
    operator["args"] = {"Seq": 7}
    kernel = event("kernel", GENERIC, 10, 900, 0, 7, device=0, stream=7, correlation=1)
    kernel["args"] |= {"Collective name": "allreduce"}
    path.write_bytes(kineto_2_11([operator, kernel]))
    assert open_trace(path).operations.sequence.tolist() == [-1]


def test_many_ranks_are_named_shortly() -> None:
    assert among([str(k) for k in range(64)]) == "of ranks 0 .. 63 (64)"
    assert of_group("k [allreduce, tp of ranks 0 .. 63 (64)]")
    assert of_group("k [allreduce, tp of ranks 0 1]")
    assert not of_group("k [allreduce, default_pg]")
    assert not of_group("k")
