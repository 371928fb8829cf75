"""Another GPU behind the same host: kernels run so many times as fast."""

from __future__ import annotations

from msgspec.structs import replace

from ...gains.work import COPY, KERNEL, ON_DEVICE, Work
from ..program import Launch, Program


def faster_kernels(program: Program, *, times: float, floor_ns: int) -> Program:
    """Kernels, memsets and copies on the device run `times` as fast, but for their first
    `floor_ns`, which no bandwidth shortens; copies to and from the host stay as they are."""

    def scaled(work: Work) -> Work:
        if work.kind == COPY and work.direction != ON_DEVICE:
            return work
        fixed = min(work.duration_ns, floor_ns if work.kind == KERNEL else 0)
        return replace(work, duration_ns=max(1, fixed + round((work.duration_ns - fixed) / times)))

    actions = tuple(
        replace(action, works=tuple(map(scaled, action.works)))
        if isinstance(action, Launch)
        else action
        for action in program.actions
    )
    return replace(program, actions=actions)
