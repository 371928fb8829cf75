"""What the GPU does where the host is in time: kernels, launches, copies and communication."""

from __future__ import annotations

from ..figures.units import human, share
from ..gains.busy import Busy
from ..model.short_names import shortened
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
        first = busy.kernels[:3]
        names = shortened([kernel.name for kernel in first], _LONGEST)
        pieces = [
            Piece("The longest kernel is " if len(first) == 1 else "The longest kernels are ")
        ]
        # One launch of a graph runs many kernels.
        in_graphs = sum(kernel.count for kernel in busy.kernels) > busy.launches
        called = ("run", "runs") if in_graphs else ("launch", "launches")
        for k, kernel in enumerate(first):
            pieces += [
                Piece((" and " if k == len(first) - 1 else ", ") if k else ""),
                Piece(names[k], "code"),
                Piece(f" ({human(kernel.ns)}{of}, {share(kernel.ns / step)}"),
                Piece(f", in {_times(kernel.count, *called)})"),
            ]
        told = _times(busy.launches, "launch", "launches")
        are = "is" if _number(busy.launches) == "1" else "are"
        # Where no launch was recorded, nothing is known of them.
        all_told = f"; there {are} {told}{of} in all." if busy.launches else "."
        lines.append((*pieces, Piece(all_told)))
    if busy.copy_ns >= SHOWN * step and not copies:
        lines.append(_copies(busy, step, of))
    if busy.communication_ns >= SHOWN * step:
        lines.append(
            (
                Piece("Communication runs for "),
                Piece(human(busy.communication_ns), "strong"),
                Piece(f"{of} ({share(busy.communication_ns / step)}); for "),
                Piece(f"{human(busy.communication_alone_ns)} of that no other kernel runs."),
            )
        )
    return tuple(lines)


def _copies(busy: Busy, step: float, of: str) -> Sentence:
    pieces = [
        Piece("Copies between host and GPU run for "),
        Piece(human(busy.copy_ns), "strong"),
        Piece(f"{of} ({share(busy.copy_ns / step)}, in {_times(busy.copies, 'copy', 'copies')}); "),
        Piece(f"for {human(busy.copy_alone_ns)} of that no kernel runs"),
    ]
    if busy.pageable:
        are = "is" if _number(busy.pageable) == "1" else "are"
        pieces.append(Piece(f"; {_number(busy.pageable)} {are} from or to pageable memory"))
    return (*pieces, Piece("."))


def _times(number: float, one: str, many: str) -> str:
    told = _number(number)
    return f"{told} {one if told == '1' else many}"


def _number(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 or number == round(number) else f"{number:,.1f}"
