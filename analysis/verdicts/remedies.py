"""What to do about a recording, in the words of the tool that made it."""

from __future__ import annotations

from msgspec import Struct

from ..model.source import TORCH_PROFILER, Source


class Remedies(Struct, frozen=True):
    """What each says begins without a capital and ends without a full stop."""

    range_name: str
    """What it calls a range."""
    record_gpu: str
    """There is no GPU row, and no call that asks for one."""
    gpu_side: str
    """There are calls, and no GPU row."""
    unusable_rows: str
    """There are GPU rows, and none has times that can be."""
    lost_rows: str
    """Some GPU rows are missing."""
    mark_steps: str
    """There are no ranges. `TRY_INFERRED` goes on where that was not tried."""
    record_calls: str
    """Operations came without the call that launched them."""
    every_process: str
    """A process is there without its GPU rows."""
    lighter: str
    """The recorder took too long for itself."""


TRY_INFERRED = ", or try --infer-steps"
AGAIN = "record again; if it stays, the profiler's CUPTI and the driver do not match"
SEE_DOCTOR = "record again, and see `harness doctor` for the profiler's CUPTI against the driver"

_NSYS = Remedies(
    range_name="NVTX range",
    record_gpu="record with --trace=cuda on a machine with a GPU",
    gpu_side="the GPU side of the trace failed (CUPTI against driver): see `harness doctor`",
    unusable_rows=SEE_DOCTOR,
    lost_rows=AGAIN,
    mark_steps="annotate the steps and record with --trace=nvtx (nvtx >= 0.2.12 records nothing "
    "under nsys before 2024: use nvtx<0.2.12)",
    record_calls="trace the CUDA API too, and start recording before the work is launched",
    every_process="let workers start by spawn instead of fork, or record with "
    "`nsys profile --trace-fork-before-exec=true`",
    lighter="shorten the captured window, or trace less (--trace=cuda,nvtx)",
)
_CUPTI = Remedies(
    range_name="NVTX range",
    record_gpu="record on a machine with a GPU",
    gpu_side=_NSYS.gpu_side,
    unusable_rows=SEE_DOCTOR,
    lost_rows=AGAIN,
    mark_steps="mark the steps with nvtx or torch.cuda.nvtx",
    record_calls="start recording before the work is launched",
    every_process="run `harness profile` in each process",
    lighter="shorten the captured window",
)
_ACTIVITY = {"HIP": "CUDA", "Ascend": "PrivateUse1"}
"""What torch.profiler calls recording an accelerator, where not by its name."""


def remedies(source: Source) -> Remedies:
    """Those of the tool that made a trace."""
    if source.producer == TORCH_PROFILER:
        return _of_torch(source.accelerator)
    return _CUPTI if source.producer == "harness cupti" else _NSYS


def _of_torch(accelerator: str) -> Remedies:
    activity = f"ProfilerActivity.{_ACTIVITY.get(accelerator, accelerator)}"
    both = f"give torch.profiler.profile activities=[ProfilerActivity.CPU, {activity}]"
    return Remedies(
        range_name="annotated range",
        record_gpu=f"{both}, on a machine with a GPU",
        gpu_side=f"{both}; where it has both, another profiler held the GPU, or warm up a step "
        "first with schedule(wait=1, warmup=1, active=N)",
        unusable_rows="record again, and with a newer PyTorch where it stays",
        lost_rows="record fewer steps, after a warm-up: schedule(wait=1, warmup=1, active=N)",
        mark_steps="call prof.step() after each step, or put each into "
        "torch.profiler.record_function('step')",
        record_calls="record ProfilerActivity.CPU too, and begin before the work is launched",
        every_process="start a torch.profiler in each process: it records the one that it runs in",
        lighter="record fewer steps, without with_stack, record_shapes and profile_memory",
    )
