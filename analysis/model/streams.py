"""What a stream goes by: its number within a process, and within a CUDA context where it has to.

CUDA numbers the streams of each context anew, so that two contexts of one process may both have a
stream 7. Where they do, one of them is called 7, and the others by numbers that tell them apart.
"""

from __future__ import annotations

from collections import Counter

PLACE = 48
"""Bits of the recorder's number: addresses, which stand for it on some GPUs, have as many."""
LARGEST, CONTEXTS = 2**PLACE, 2**14


def stream_of(number: int, rank: int) -> int:
    """What a stream goes by; `rank`: its context's, among those of the process with this number."""
    return number + (min(rank, CONTEXTS - 1) << PLACE) if 0 <= number < LARGEST else number


def recorded_number(stream: int) -> int:
    """The number that the recorder gave the stream.

    >>> recorded_number(stream_of(7, 3))
    7
    """
    return stream % LARGEST if 0 <= stream < CONTEXTS * LARGEST else stream


def context_rank(stream: int) -> int:
    """The rank that the stream was named with."""
    return stream >> PLACE if 0 <= stream < CONTEXTS * LARGEST else 0


def context_numbers(streams: list[int]) -> list[int | None]:
    """Which of the contexts that share its number each stream is of, in the order given, counted
    from 1; None where the number tells the stream.

    >>> context_numbers([7, stream_of(7, 2), 20])
    [1, 2, None]
    """
    numbers = [recorded_number(stream) for stream in streams]
    shared, seen = Counter(numbers), Counter[int]()
    found: list[int | None] = []
    for number in numbers:
        seen[number] += 1
        found.append(seen[number] if shared[number] > 1 else None)
    return found


def stream_labels(streams: list[int]) -> list[str]:
    """How a person calls the streams of one picture, in the order given.

    >>> stream_labels([7, stream_of(7, 2), 20])
    ['stream 7', 'stream 7 (context no. 2)', 'stream 20']
    """
    return [
        f"stream {recorded_number(stream)}"
        + (f" (context no. {number})" if number and number > 1 else "")
        for stream, number in zip(streams, context_numbers(streams), strict=True)
    ]
