"""What the GPU does where the host is in time: kernels, launches, copies and communication."""

from __future__ import annotations

from ..figures.units import human, share
from ..gains.busy import Busy
from ..model.text import plain
from .sentence import Piece, Sentence

SHOWN = 0.05
"""Share of a step below which copies or communication are not spoken of."""
_LONGEST = 48


def busy_sentences(busy: Busy, step: float, of: str = " a step") -> tuple[Sentence, ...]:
    """What takes the GPU's time, the largest first; `step`: how long a step or a window is, ns,
    and `of` says which."""
    step = step or 1.0
    lines: list[Sentence] = []
    copies = busy.copy_ns >= SHOWN * step and busy.copy_ns > busy.kernel_ns
    if copies:
        lines.append(_copies(busy, step, of))
    if busy.kernels:
        pieces = [Piece("Most of that work is " if not copies else "Kernels: ")]
        for k, kernel in enumerate(busy.kernels[:3]):
            pieces += [
                Piece(", " if k else ""),
                Piece(shortened(kernel.name), "code"),
                Piece(f" {human(kernel.ns)} ({share(kernel.ns / step)}, {kernel.count:,.0f} x)"),
            ]
        lines.append((*pieces, Piece(f"; {busy.launches:,.0f} launches{of}.")))
    if busy.copy_ns >= SHOWN * step and not copies:
        lines.append(_copies(busy, step, of))
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


def _copies(busy: Busy, step: float, of: str) -> Sentence:
    pieces = [
        Piece("Copies between host and GPU run for "),
        Piece(human(busy.copy_ns), "strong"),
        Piece(f" ({share(busy.copy_ns / step)}, {_count(busy.copies)}{of}), "),
        Piece(f"{human(busy.copy_alone_ns)} of it beside no kernel"),
    ]
    if busy.pageable:
        pieces.append(Piece(f"; {_count(busy.pageable)} from or to pageable memory"))
    return (*pieces, Piece("."))


def _count(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 or number == round(number) else f"{number:,.1f}"


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
