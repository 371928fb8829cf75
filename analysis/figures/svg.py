"""SVG by small functions: every attribute and text is escaped, numbers are kept short."""

from __future__ import annotations

from html import escape
from itertools import pairwise

from ..model.text import plain

Attribute = str | int | float | None


def num(value: float, digits: int = 2) -> str:
    """A number as short as it can be: `3`, `3.5`, `-.25`.

    >>> num(3.0), num(0.10), num(-0.001)
    ('3', '.1', '0')
    """
    text = f"{value:.{digits}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    if text in ("-0", ""):
        return "0"
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text


def percent(share: float) -> str:
    """A share of the width: `12.34%`."""
    return f"{num(share * 100, 3)}%"


def tag(name: str, *children: str, **attributes: Attribute) -> str:
    """One element. Children are markup already; attributes are escaped, but for `d`, which is made
    of numbers here; None leaves one out, and underscores stand for hyphens (`class_` for class)."""
    parts = [name]
    for key, value in attributes.items():
        if value is None:
            continue
        if isinstance(value, int | float):
            text = num(value)
        else:
            text = value if key == "d" else safe(value)
        parts.append(f'{key.rstrip("_").replace("_", "-")}="{text}"')
    inner = "".join(children)
    return f"<{' '.join(parts)}>{inner}</{name}>" if inner else f"<{' '.join(parts)}/>"


def safe(text: str) -> str:
    """Text for an attribute or between tags: markup escaped, control characters replaced."""
    return escape(plain(text, len(text) + 1))


def label(text: str, x: str | float, y: str | float, **attributes: Attribute) -> str:
    """One line of text."""
    return tag("text", safe(text), x=x, y=y, **attributes)


def boxes(spans: list[tuple[float, float, float, float]], digits: int = 1) -> str:
    """One path of many rectangles (x, y, width, height), far smaller than an element each."""
    parts = []
    for x, y, width, height in spans:
        wide = num(width, digits)
        parts.append(f"M{num(x, digits)} {num(y)}h{wide}v{num(height)}h-{wide}z")
    return "".join(parts)


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round values inside [low, high], about as many as asked for.

    >>> ticks(0, 485, 5)
    [0, 100, 200, 300, 400]
    """
    if not high > low:
        return [low]
    rough = (high - low) / max(about, 1)
    magnitude = 1.0
    while magnitude * 10 <= rough:
        magnitude *= 10
    while magnitude > rough:
        magnitude /= 10
    step = next(m * magnitude for m in (1, 2, 5, 10) if m * magnitude >= rough * 0.999)
    first = -(-low // step)
    found = []
    while first * step <= high * (1 + 1e-12):
        value = first * step
        # Adding zero makes a zero of minus zero.
        found.append(int(value) if step >= 1 else round(value, 12) + 0.0)
        first += 1
    return found


def nudged(positions: list[float], distance: float, low: float, high: float) -> list[float]:
    """The same positions moved as little as it takes to keep them apart and inside [low, high].

    Order is kept. Where they cannot all fit, they share the room evenly.
    """
    order = sorted(range(len(positions)), key=lambda k: positions[k])
    distance = min(distance, (high - low) / max(len(positions) - 1, 1))
    placed: list[float] = []
    for k in order:
        at = max(positions[k], low)
        placed.append(max(at, placed[-1] + distance) if placed else at)
    limit = high
    for k in reversed(range(len(placed))):
        placed[k] = min(placed[k], limit)
        limit = placed[k] - distance
    assert all(a <= b for a, b in pairwise(placed))
    result = [0.0] * len(positions)
    for k, at in zip(order, placed, strict=True):
        result[k] = at
    return result
