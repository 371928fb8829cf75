"""Mutators of plain bytes: what disks, networks and truncated copies do to a file."""

from __future__ import annotations

from random import Random

from .mutator import EDGES, named


def _place(data: bytearray, random: Random) -> int:
    return random.randrange(len(data)) if data else 0


def flip_bits(data: bytearray, random: Random) -> None:
    for _ in range(random.choice((1, 1, 2, 8, 64))):
        if data:
            data[_place(data, random)] ^= 1 << random.randrange(8)


def set_bytes(data: bytearray, random: Random) -> None:
    for _ in range(random.choice((1, 2, 4, 16))):
        if data:
            data[_place(data, random)] = random.choice((0, 0xFF, 0x7F, 0x80, random.randrange(256)))


def write_numbers(data: bytearray, random: Random) -> None:
    """Big-endian integers, as SQLite stores its pages, at places aligned to two."""
    for _ in range(random.choice((1, 2, 4))):
        width = random.choice((1, 2, 4, 8))
        at = _place(data, random) & ~1
        value = random.choice(EDGES) & (256**width - 1)
        data[at : at + width] = value.to_bytes(width, "big")[: max(len(data) - at, 0)]


def truncate(data: bytearray, random: Random) -> None:
    del data[_place(data, random) :]


def truncate_at_a_page(data: bytearray, random: Random) -> None:
    del data[_place(data, random) & ~0x1FF :]


def cut_out(data: bytearray, random: Random) -> None:
    at = _place(data, random)
    del data[at : at + random.choice((1, 2, 16, 512, 1024, 4096))]


def repeat_a_piece(data: bytearray, random: Random) -> None:
    at, size = _place(data, random), random.choice((1, 16, 512, 1024))
    data[at:at] = data[at : at + size] * random.choice((1, 2, 20))


def copy_a_page(data: bytearray, random: Random) -> None:
    """One page over another: b-trees that share pages, and loops."""
    for _ in range(random.choice((1, 1, 3))):
        source, target = _place(data, random) & ~0x1FF, _place(data, random) & ~0x1FF
        size = min(512, len(data) - source, len(data) - target)
        data[target : target + size] = data[source : source + size]


def zero_a_page(data: bytearray, random: Random) -> None:
    at = _place(data, random) & ~0x1FF
    size = min(512, len(data) - at)
    data[at : at + size] = bytes(size)


def spoil_a_page_head(data: bytearray, random: Random) -> None:
    """Kind, cell count and pointers of one page: the bytes that SQLite trusts first."""
    at = (_place(data, random) & ~0x1FF) + (100 if random.random() < 0.1 else 0)
    for _ in range(random.choice((1, 2, 6))):
        where = at + random.randrange(40)
        if where < len(data):
            data[where] = random.choice((0, 1, 2, 5, 10, 13, 0xFF, random.randrange(256)))


def spoil_the_file_head(data: bytearray, random: Random) -> None:
    for _ in range(random.choice((1, 2, 5))):
        at = random.randrange(100)
        if at < len(data):
            data[at] = random.randrange(256)


def append(data: bytearray, random: Random) -> None:
    data += random.randbytes(random.choice((1, 10, 512, 5000)))


def spoil_text(data: bytearray, random: Random) -> None:
    """Bytes that are no UTF-8, NULs and control characters amid the text."""
    for _ in range(random.choice((1, 3, 30))):
        at = _place(data, random)
        data[at : at + 2] = random.choice(
            (b"\xff\xfe", b"\xc0\x80", b"\xed\xa0", b"\x00", b"\x1b[")
        )


def swap_halves(data: bytearray, random: Random) -> None:
    at = _place(data, random)
    data[:] = data[at:] + data[:at]


MUTATORS = named(
    (
        flip_bits, set_bytes, write_numbers, truncate, truncate_at_a_page, cut_out, repeat_a_piece,
        copy_a_page, zero_a_page, spoil_a_page_head, spoil_the_file_head, append, spoil_text,
        swap_halves,
    )
)  # fmt: skip
