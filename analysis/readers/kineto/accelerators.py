"""Whose accelerator a torch.profiler trace is of, by its categories, calls and devices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

OPERATIONS = {"mtia_ccp_events": "MTIA", "hpu_op": "HPU"}
"""Categories that hold the work of one accelerator, each row an operation."""

ASCEND = "Ascend Hardware"
"""Counted for the tasks of a Huawei NPU, which torch_npu gives no category."""

_CATEGORIES = (
    ("mtia_", "MTIA"), ("hpu_", "HPU"), ("xpu_", "XPU"), ("privateuse1_", "PrivateUse1"),
)  # fmt: skip
_CALLS = (
    ("hip", "HIP"), ("aclrt", "Ascend"), ("aclnn", "Ascend"), ("ur", "XPU"), ("ze", "XPU"),
)  # fmt: skip


def accelerator_of(
    categories: Mapping[str, int], calls: Iterable[str], devices: Iterable[str]
) -> str:
    """`CUDA`, `HIP`, `XPU`, `MTIA`, `HPU`, `Ascend`; `PrivateUse1` for one that PyTorch was
    extended by and that does not say its name."""
    if ASCEND in categories or any("Ascend" in name for name in devices):
        return "Ascend"
    by_call = next((name for call in calls for head, name in _CALLS if _begins(call, head)), "")
    for head, name in _CATEGORIES:
        if any(category.startswith(head) for category in categories):
            return by_call if name == "PrivateUse1" and by_call else name
    return by_call or "CUDA"


def _begins(call: str, head: str) -> bool:
    """`hipLaunchKernel` begins with `hip`, and `urgent` does not with `ur`."""
    return call.startswith(head) and call[len(head) : len(head) + 1].isupper()
