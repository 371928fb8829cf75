"""A scene as one SVG file for papers and slides, and as PNG where a renderer is installed."""

from __future__ import annotations

from ..model.errors import PackageMissing
from ..scenes.scene import Scene, fitted
from .palette import PAPER, text_on, tones
from .svg import label, num, safe, tag
from .timeline import GLYPH, LEGEND, describe, fixed
from .units import human, share

WIDTH, MARGIN = 1000.0, 24.0
FONTS = "Helvetica,Arial,'Liberation Sans','DejaVu Sans',sans-serif"
MOST_SPANS = 6000


def figure(scene: Scene, title: str, subtitle: str, *, dark: bool = False) -> str:
    """One SVG document, 1000 px wide, with every colour written out and no outside reference."""
    theme = 1 if dark else 0
    inner, height = fixed(fitted(scene, MOST_SPANS), WIDTH - 2 * MARGIN)
    below = [*_legend(scene, height + 74), *_caption(scene, height + 98)]
    total = height + 98 + len(_caption_lines(scene)) * 16 + 12
    return tag(
        "svg",
        tag("title", safe(title)),
        tag("desc", safe(describe(scene))),
        tag("style", _style(theme)),
        tag("rect", width="100%", height="100%", class_="paper"),
        label(title, MARGIN, 30, class_="title"),
        label(subtitle, MARGIN, 48, class_="subtitle"),
        tag("g", inner, transform=f"translate({num(MARGIN)} 56)"),
        *below,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {num(WIDTH)} {num(total)}",
        width=WIDTH,
        height=total,
        role="img",
    ) + "\n"  # fmt: skip


def png(svg: str, scale: float = 2.0) -> bytes:
    """The figure as PNG, `scale` pixels for each px. Raises TraceError without a renderer."""
    try:
        import resvg_py
    except ImportError:
        raise PackageMissing(
            "PNG figures need the resvg-py package, which is not installed",
            remedy="pip install 'nsys-harness[figures]', or write a .svg instead",
        ) from None
    return bytes(
        resvg_py.svg_to_bytes(svg_string=svg, zoom=scale, sans_serif_family=_installed_sans())
    )


def _installed_sans() -> str:
    """A font for the renderer's `sans-serif`; without any, texts would silently be missing."""
    import shutil
    import subprocess

    name = ""
    if shutil.which("fc-match"):
        run = subprocess.run(
            ["fc-match", "-f", "%{family[0]}", "sans-serif"],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        name = run.stdout.strip()
    return name or "DejaVu Sans"


def _legend(scene: Scene, y: float) -> list[str]:
    seen = dict.fromkeys(
        lane.tones[tone] for lane in scene.lanes for tone in dict.fromkeys(lane.tone.tolist())
    )
    parts, x = [], MARGIN
    for tone in seen:
        if tone.startswith("cause-"):
            text = f"idle: {tone.removeprefix('cause-')}"
        elif tone in LEGEND:
            text = LEGEND[tone]
        else:
            continue
        if x + 24 + len(text) * GLYPH * 0.92 > WIDTH - MARGIN:
            break
        parts.append(tag("rect", x=x, y=y - 9, width=10, height=10, class_=f"t-{tone}"))
        parts.append(label(text, x + 14, y, class_="tick"))
        x += 28 + len(text) * GLYPH * 0.92
    return parts


def _caption_lines(scene: Scene) -> list[str]:
    focus = next((gap for gap in scene.gaps if gap.focus), None)
    if focus is None:
        return []
    by_cause: dict[str, int] = {}
    for part in scene.parts:
        by_cause[part.cause or "other"] = by_cause.get(part.cause or "other", 0) + part.ns
    split = ", ".join(
        f"{cause} {human(ns)} ({share(ns / focus.length)})"
        for cause, ns in sorted(by_cause.items(), key=lambda item: -item[1])
    )
    lines = [f"The GPU idles {human(focus.length)}: {split}."]
    if scene.drained_by:
        lines.append(f"The queue had been drained by {scene.drained_by}.")
    return lines


def _caption(scene: Scene, y: float) -> list[str]:
    lines = _caption_lines(scene)
    return [label(text, MARGIN, y + 16 * k, class_="caption") for k, text in enumerate(lines)]


def _style(theme: int) -> str:
    paper = {name: pair[theme] for name, pair in PAPER.items()}
    rules = [
        f"text{{font-family:{FONTS};font-size:11px}}",
        f".paper{{fill:{paper['paper']}}}",
        f".title{{fill:{paper['ink']};font-size:17px;font-weight:bold}}",
        f".subtitle,.tick,.lane{{fill:{paper['muted']}}}",
        f".caption{{fill:{paper['ink']};font-size:12px}}",
        f".name{{fill:{paper['ink']}}}",
        f".grid{{stroke:{paper['grid']}}}",
        f".gap{{fill:{paper['shade']};fill-opacity:.07}}",
        ".focus{fill-opacity:.14}",
        f".flag{{fill:{paper['shade']};font-weight:bold}}",
    ]
    for name, pair in tones().items():
        rules.append(f".t-{name}{{fill:{pair[theme]}}}.on-{name}{{fill:{text_on(pair[theme])}}}")
        if name.startswith(("step", "range-")):
            rules.append(f".s-{name}{{stroke:{pair[theme]}}}")
    rules.append(".soft{fill-opacity:.2;stroke-width:1}")
    return "".join(rules)
