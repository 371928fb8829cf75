"""Colours, once for light and once for dark paper.

The causes' hues start from Okabe and Ito's set, which people with colour blindness tell apart,
darkened or lightened until each has a contrast of 3:1 against its paper (WCAG 2.1, 1.4.11).
Nothing is told by colour alone: segments, spans and lines also carry their names.
"""

from __future__ import annotations

from ..idle.causes import causes

CAUSES: dict[str, tuple[str, str]] = {
    "host": ("#d17a00", "#f0a63c"),
    "sync": ("#0b6bb0", "#4ba3e3"),
    "launch": ("#8e2a78", "#e08cc4"),
    "queue": ("#7d8b99", "#75818e"),
    "api": ("#3391c4", "#8fd3f5"),
    "allocator": ("#bf3b1f", "#ff8262"),
    "dependency": ("#0a8464", "#3cc79f"),
    "graph": ("#8a7d00", "#ded04f"),
    "handoff": ("#6549b5", "#a993f0"),
    "host-function": ("#8a5a2b", "#d9a066"),
    "other-context": ("#3f4fb8", "#93a0ff"),
    "profiler": ("#55524c", "#b9b4a8"),
    "tail": ("#8d8d8d", "#7d7d7d"),
    "unknown": ("#7a7a7a", "#8c8c8c"),
}
"""Cause to (light, dark)."""

_LATER = (("#4d7c0f", "#a3d95b"), ("#9d174d", "#f58bb4"), ("#155e75", "#67d4ec"))
"""For causes that register without a colour here."""

SPANS: dict[str, tuple[str, str]] = {
    "step": ("#2f6fdd", "#6c9df5"),
    "range-1": ("#2e8b57", "#5fc48d"),
    "range-2": ("#8258c9", "#b596f2"),
    "range-3": ("#a06a2c", "#d6a25f"),
    "range-4": ("#2b8a94", "#5cc3cd"),
    "api-launch": ("#5f6f82", "#93a5ba"),
    "api-sync": ("#0b6bb0", "#4ba3e3"),
    "api-alloc": ("#bf3b1f", "#ff8262"),
    "api-other": ("#8b8f96", "#757b84"),
    "kernel": ("#3d5a80", "#7fa6d6"),
    "copy": ("#0a8464", "#3cc79f"),
    "set": ("#756a00", "#ded04f"),
    "graph": ("#6549b5", "#a993f0"),
    "comm": ("#b0478f", "#e08cc4"),
    "busy": ("#39444f", "#d3dae1"),
}
"""Tones of the timeline to (light, dark)."""

SERIES: tuple[tuple[str, str], ...] = (
    ("#0b6bb0", "#4ba3e3"),
    ("#d17a00", "#f0a63c"),
    ("#0a8464", "#3cc79f"),
    ("#b0478f", "#e08cc4"),
    ("#6549b5", "#a993f0"),
    ("#bf3b1f", "#ff8262"),
    ("#55524c", "#b9b4a8"),
)
_STROKED = ("line-", "range-", "step")
DASHES = (None, "6 3", "2 3", "9 3 2 3")
"""Lines that share a colour differ in their dashes."""

PAPER: dict[str, tuple[str, str]] = {
    "paper": ("#ffffff", "#14171c"),
    "panel": ("#f6f7f9", "#1b2027"),
    "ink": ("#14181d", "#e8ebef"),
    "muted": ("#59626d", "#a2acb8"),
    "rule": ("#dfe3e8", "#2e353f"),
    "grid": ("#e9ecf0", "#262c35"),
    "accent": ("#0a6b58", "#4fd0ae"),
    "accent-soft": ("#e6f3f0", "#15302b"),
    "warn": ("#8f4a00", "#f5b860"),
    "warn-soft": ("#fff4e3", "#33260f"),
    "bad": ("#a8201a", "#ff8f85"),
    "bad-soft": ("#fdecea", "#3a1816"),
    "shade": ("#c2410c", "#ff9d4d"),
}


def tones() -> dict[str, tuple[str, str]]:
    """Every tone that a drawing may use, causes as `cause-NAME`."""
    found = dict(SPANS)
    later = 0
    for cause in causes():
        if cause.name in CAUSES:
            found[f"cause-{cause.name}"] = CAUSES[cause.name]
        else:
            found[f"cause-{cause.name}"] = _LATER[later % len(_LATER)]
            later += 1
    found.update({f"line-{k}": pair for k, pair in enumerate(SERIES)})
    return found


def luminance(color: str) -> float:
    """Relative luminance of `#rrggbb`, as WCAG defines it."""
    parts = [int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    """Contrast ratio of two colours, 1 to 21, as WCAG defines it."""
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def text_on(color: str) -> str:
    """Black or white, whichever reads better on a colour."""
    return max(("#000000", "#ffffff"), key=lambda text: contrast(text, color))


def css_variables(theme: int) -> str:
    """`--name:#hex;` of one theme, 0 light and 1 dark; `--on-NAME` is for text on that colour."""
    every = {**PAPER, **tones()}
    on = {f"on-{name}": text_on(pair[theme]) for name, pair in tones().items()}
    flat = {name: pair[theme] for name, pair in every.items()} | on
    return "".join(f"--{name}:{value};" for name, value in flat.items())


def css_classes() -> str:
    """`.t-NAME` is a shape of that tone, `.on-NAME` text on it, `.s-NAME` a line of it."""
    return "".join(
        f".t-{name}{{fill:var(--{name})}}.on-{name}{{fill:var(--on-{name})}}" for name in tones()
    ) + "".join(
        f".s-{name}{{stroke:var(--{name})}}" for name in tones() if name.startswith(_STROKED)
    )
