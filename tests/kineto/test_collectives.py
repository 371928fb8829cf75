"""What PyTorch says of a collective stands in the name of its kernel."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.analysis.model.communication import KNOWN
from harness.analysis.model.names import operation_name
from harness.analysis.readers.open import open_trace

from .kineto_json import event, kineto_2_11

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
