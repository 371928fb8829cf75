"""Takes the pictures in docs/images anew: `python -m tests.report.picture`.

`report` and `timeline` show the worked examples, which are synthetic, and say so in the picture
itself; `h100` and `h100-timeline` are the recordings in traces/, measured on an H100.
"""

from __future__ import annotations

import base64
import tempfile
from pathlib import Path

from msgspec.structs import replace

from harness.analysis.reports.base import Terminal, reporters
from harness.version import __version__

from ..conftest import ROOT
from .browser import Browser, opened
from .build import analyzed

IMAGES = ROOT / "docs" / "images"
EXAMPLES = [ROOT / "traces" / f"example-{name}.sqlite" for name in ("sync", "pipelined")]
RECORDINGS = [
    ROOT / "traces" / f"h100-{name}.sqlite"
    for name in ("kv-cache", "pipelined", "cuda-graph", "cuda-graph-deferred")
]
WIDTH = 1180


def take(browser: Browser, path: Path, top: int, bottom: int) -> None:
    """One strip of the page, from `top` to `bottom` px, at one and a half pixels for each."""
    clip = {"x": 0, "y": top, "width": WIDTH, "height": bottom - top, "scale": 1.5}
    shot = browser.command("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
    path.write_bytes(base64.b64decode(shot["data"]))
    print(path.relative_to(ROOT))


def pictures(browser: Browser, traces: list[Path], name: str, timeline: str, scene: str) -> None:
    """The top of a page and one of its timelines, light and dark."""
    report = analyzed(*traces)
    report = replace(report, tool_version=__version__)
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        page.write_text(reporters()["html"].render(report, Terminal()), "utf-8")
        for scheme, suffix in (("light", ""), ("dark", "-dark")):
            browser.open(page, width=WIDTH, scheme=scheme)
            browser.ready()
            end = browser.run(
                "return document.querySelector('.legend').getBoundingClientRect().bottom + scrollY"
            )
            take(browser, IMAGES / f"{name}{suffix}.png", 0, int(end) + 28)
            box = f"document.querySelector('[data-scene={scene}]')"
            browser.run(f"{box}.scrollIntoView({{block: 'center'}})")
            browser.until(f"{box}.classList.contains('ready')")
            browser.until(f"{box}.querySelectorAll('.live text').length > 5")
            top, bottom = browser.run(
                f"const whole = {box}.parentElement.getBoundingClientRect(), "
                f"own = {box}.getBoundingClientRect(); "
                "return [whole.top + scrollY, own.bottom + scrollY]"
            )
            take(browser, IMAGES / f"{timeline}{suffix}.png", int(top) - 14, int(bottom) + 8)


def main() -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    with opened() as browser:
        pictures(browser, EXAMPLES, "report", "timeline", "e2-worst")
        pictures(browser, RECORDINGS, "h100", "h100-timeline", "e1-median")


if __name__ == "__main__":
    main()
