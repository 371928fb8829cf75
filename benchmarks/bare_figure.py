#!/usr/bin/env python
"""Steps as recorded and without the recorder, side by side, as an SVG.

python benchmarks/bare_figure.py FILE.svg RECORDING.sqlite...

Of each recording that proves its bare timeline two bars: busy and idle time of a step, us.
"""

from __future__ import annotations

import sys
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from harness.analysis.analyze import analyze  # noqa: E402
from harness.analysis.idle.figures import Steady  # noqa: E402
from harness.analysis.question import Question  # noqa: E402

WIDTH, LEFT, ROW, BAR = 760, 170, 46, 15
BUSY, IDLE, TEXT = "#4c78a8", "#e45756", "#888888"


def steady(path: Path, *, as_recorded: bool) -> Steady | None:
    """The first series' steady step; None where its bare timeline is asked for and not proved."""
    report = analyze(path, Question(as_recorded=as_recorded, gains=False))
    if not as_recorded and report.bare is None:
        return None
    return report.series[0].steady if report.series else None


def main() -> int:
    if len(sys.argv) < 3:
        print((__doc__ or "").strip(), file=sys.stderr)
        return 2
    rows = []
    for name in sys.argv[2:]:
        path = Path(name)
        bare, recorded = steady(path, as_recorded=False), steady(path, as_recorded=True)
        if bare is not None and recorded is not None:
            rows.append((path.stem.removeprefix("h200-"), recorded, bare))
    scale = (WIDTH - LEFT - 90) / max(recorded.period_ns for _, recorded, _ in rows)
    height = 40 + ROW * len(rows)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'font-family="sans-serif" font-size="12" role="img">',
        "<title>A step as recorded and without the recorder: GPU busy and idle</title>",
    ]
    for k, (label, color) in enumerate((("GPU busy", BUSY), ("GPU idle", IDLE))):
        x = LEFT + 110 * k
        lines.append(f'<rect x="{x}" y="8" width="12" height="12" fill="{color}"/>')
        lines.append(f'<text x="{x + 18}" y="18" fill="{TEXT}">{label}</text>')
    for k, (name, recorded, bare) in enumerate(rows):
        y = 34 + ROW * k
        lines.append(f'<text x="4" y="{y + 21}" fill="{TEXT}">{escape(name)}</text>')
        for place, (what, one) in enumerate((("recorded", recorded), ("bare", bare))):
            top = y + place * (BAR + 3)
            busy, idle = one.busy_ns * scale, one.idle_ns * scale
            lines += [
                f'<text x="{LEFT - 6}" y="{top + 12}" fill="{TEXT}" text-anchor="end" '
                f'font-size="10">{what}</text>',
                f'<rect x="{LEFT}" y="{top}" width="{busy:.1f}" height="{BAR}" fill="{BUSY}"/>',
                f'<rect x="{LEFT + busy:.1f}" y="{top}" width="{idle:.1f}" height="{BAR}" '
                f'fill="{IDLE}"/>',
                f'<text x="{LEFT + busy + idle + 5:.1f}" y="{top + 12}" fill="{TEXT}">'
                f"{one.period_ns / 1000:,.0f} µs</text>",
            ]
    lines.append("</svg>")
    Path(sys.argv[1]).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
