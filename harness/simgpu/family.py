"""Operations of a forward pass as functions of one length, found from a few recorded passes.

Bytes and FLOPs of every operation are polynomials of degree two at most in the length of the
sequence. Three recordings give them, a fourth has to agree, exactly; where it does not (another
kernel for another alignment, say) nothing is inferred and every pass is recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from .costs import Op

_Numbers = tuple[int, ...]


class Family:
    """Passes that differ in one length alone."""

    def __init__(self) -> None:
        self._recorded: dict[int, tuple[Op, ...]] = {}
        self._curves: list[tuple[Op, tuple[_Curve, ...] | None]] | None = None
        self._refuted = False

    def add(self, length: int, ops: tuple[Op, ...]) -> None:
        """A pass that was recorded."""
        self._recorded[length] = ops
        if self._curves is None and not self._refuted and len(self._recorded) == 4:
            *points, check = sorted(self._recorded)
            curves = _fit([(p, self._recorded[p]) for p in points])
            if curves is None or _at(curves, check) != self._recorded[check]:
                self._refuted = True
            else:
                self._curves = curves

    def at(self, length: int) -> tuple[Op, ...] | None:
        """The operations at this length; None where they have to be recorded."""
        known = self._recorded.get(length)
        if known is not None or self._curves is None:
            return known
        return _at(self._curves, length)


class _Curve:
    """A polynomial through three points, exact."""

    __slots__ = ("points", "values")

    def __init__(self, points: Sequence[int], values: Sequence[int]) -> None:
        self.points, self.values = tuple(points), tuple(values)

    def __call__(self, length: int) -> int:
        total = Fraction(0)
        for k, (x, y) in enumerate(zip(self.points, self.values, strict=True)):
            term = Fraction(y)
            for other, z in enumerate(self.points):
                if other != k:
                    term *= Fraction(length - z, x - z)
            total += term
        return int(total)


def _numbers(op: Op) -> _Numbers:
    return (op.flops, op.rows, *(s for _, s in op.reads), *(s for _, s in op.writes))


def _shape(op: Op) -> tuple[object, ...]:
    """All but the numbers."""
    tensors = [t for t, _ in op.reads], [t for t, _ in op.writes]
    return (op.name, op.kind, op.work, op.dtype, *map(tuple, tensors))


def _fit(
    recorded: list[tuple[int, tuple[Op, ...]]],
) -> list[tuple[Op, tuple[_Curve, ...] | None]] | None:
    points = [length for length, _ in recorded]
    passes = [ops for _, ops in recorded]
    if len({len(ops) for ops in passes}) != 1:
        return None
    curves: list[tuple[Op, tuple[_Curve, ...] | None]] = []
    for same in zip(*passes, strict=True):
        if len({_shape(op) for op in same}) != 1:
            return None
        numbers = [_numbers(op) for op in same]
        if len(set(numbers)) == 1:
            curves.append((same[0], None))
        else:
            columns = zip(*numbers, strict=True)
            curves.append((same[0], tuple(_Curve(points, column) for column in columns)))
    return curves


def _at(curves: list[tuple[Op, tuple[_Curve, ...] | None]], length: int) -> tuple[Op, ...]:
    cache: dict[tuple[_Numbers, ...], int] = {}
    ops = []
    for op, changing in curves:
        if changing is None:
            ops.append(op)
            continue
        numbers = []
        for curve in changing:
            key = (curve.points, curve.values)
            if key not in cache:
                cache[key] = curve(length)
            numbers.append(cache[key])
        cut = 2 + len(op.reads)
        reads = tuple((t, s) for (t, _), s in zip(op.reads, numbers[2:cut], strict=True))
        writes = tuple((t, s) for (t, _), s in zip(op.writes, numbers[cut:], strict=True))
        ops.append(Op(op.name, op.kind, op.work, numbers[0], numbers[1], op.dtype, reads, writes))
    return tuple(ops)
