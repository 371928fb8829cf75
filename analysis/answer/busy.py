"""What the GPU does where the host is in time: kernels, launches, copies and communication."""

from __future__ import annotations

from ..figures.units import human, share
from ..gains.busy import Busy
from ..idle.figures import Steady
from ..model.text import plain
from .sentence import Piece, Sentence

SHOWN = 0.05
"""Share of a step below which copies or communication are not spoken of."""
_LONGEST = 48


def busy_sentences(busy: Busy, steady: Steady) -> tuple[Sentence, ...]:
    """What takes the GPU's time, the largest first; of a step."""
    step = steady.period_ns or 1.0
    lines: list[Sentence] = []
    if busy.kernels:
        pieces = [Piece("Most of it is ")]
        for k, kernel in enumerate(busy.kernels[:3]):
            pieces += [
                Piece(", " if k else ""),
                Piece(shortened(kernel.name), "code"),
                Piece(f" {human(kernel.ns)} ({share(kernel.ns / step)}, {kernel.count:,.0f} x)"),
            ]
        lines.append((*pieces, Piece(f"; {busy.launches:,.0f} launches a step.")))
    if busy.copy_ns >= SHOWN * step:
        pieces = [
            Piece("Copies between host and GPU run for "),
            Piece(human(busy.copy_ns), "strong"),
            Piece(f" ({share(busy.copy_ns / step)}, {busy.copies:,.1f} a step), "),
            Piece(f"{human(busy.copy_alone_ns)} of it beside no kernel"),
        ]
        if busy.pageable:
            pieces.append(Piece(f"; {busy.pageable:,.1f} from or to pageable memory"))
        lines.append((*pieces, Piece(".")))
    if busy.communication_ns >= SHOWN * step:
        lines.append(
            (
                Piece("Communication runs for "),
                Piece(human(busy.communication_ns), "strong"),
                Piece(f" ({share(busy.communication_ns / step)}), "),
                Piece(f"{human(busy.communication_alone_ns)} of it beside no other kernel."),
            )
        )
    return tuple(lines)


def shortened(name: str, longest: int = _LONGEST) -> str:
    """A kernel's name with its end, which tells it from its kin.

    >>> shortened("void at::native::vectorized_elementwise_kernel<4, CUDAFunctor_add<float>>", 40)
    'vectorized_elementwise_k…_add<float>>'
    """
    name = plain(name, 4096)
    head = name.partition("<")[0].partition("(")[0]
    start = head.rfind("::") + 2 if "::" in head else len("void ") * head.startswith("void ")
    name = name[start:]
    if len(name) <= longest:
        return name
    keep = (longest - 1) // 3
    return f"{name[: longest - 1 - keep]}…{name[-keep:]}"
