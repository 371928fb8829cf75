"""The page in a real browser, from file://, with the network off."""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.analysis.reports.base import Terminal, reporters

from ..conftest import ROOT
from .browser import Browser, opened
from .build import HOSTILE, analyzed, loop

EXAMPLES = [ROOT / "traces" / f"example-{name}.sqlite" for name in ("sync", "pipelined")]
LIVE = "document.querySelector('#e2 .tl.ready .live')"
"""The first interactive timeline of the second series."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with opened() as found:
        yield found


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(reporters()["html"].render(analyzed(*EXAMPLES), Terminal()))
    return path


def rows(browser: Browser, table: str) -> list[dict[str, str]]:
    """Exact values of a table of the page as the browser shows it."""
    found: list[dict[str, str]] = browser.run(
        """const table = document.querySelector(`table[data-table="${arguments[0]}"]`);
        const names = [...table.querySelectorAll('thead th')].map(th => th.dataset.column);
        return [...table.querySelectorAll('tbody tr')].map(tr => Object.fromEntries(
          [...tr.children].map((cell, k) => [names[k], cell.dataset.value ?? cell.innerText])))""",
        table,
    )
    return found


def pixels(png: bytes) -> tuple[int, int, set[bytes]]:
    """Width, height and the distinct first pixels of rows: enough to tell light from dark."""
    assert png.startswith(b"\x89PNG")
    width, height = int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")
    at, data = 8, b""
    while at < len(png):
        size = int.from_bytes(png[at : at + 4], "big")
        if png[at + 4 : at + 8] == b"IDAT":
            data += png[at + 8 : at + 8 + size]
        at += size + 12
    raw = zlib.decompress(data)
    channels = {2: 3, 6: 4}[png[25]]
    return width, height, {raw[1 : 1 + channels][:3]}


def test_the_page_opens_offline_without_a_complaint(browser: Browser, page: Path) -> None:
    browser.command("Network.enable")
    browser.command(
        "Network.emulateNetworkConditions",
        offline=True, latency=0, downloadThroughput=0, uploadThroughput=0,
    )  # fmt: skip
    browser.requests()
    browser.open(page)
    browser.ready()
    browser.until(f"!!{LIVE} || (document.querySelector('#e2').scrollIntoView(), false)")
    assert browser.complaints() == []
    assert {url.partition("?")[0] for url in browser.requests()} <= {page.as_uri(), "data:,"}


def test_figures_on_the_page_are_those_of_harness_gaps(
    browser: Browser, page: Path, harness
) -> None:
    done = harness("gaps", *EXAMPLES, "--format", "json")
    assert done.returncode == 0, done.stderr
    steady = {
        f"{t['label']} ({t['origin']})": t["series"][0]["steady"]
        for t in json.loads(done.stdout)["traces"]
    }
    browser.open(page)
    browser.ready()
    shown = rows(browser, "steps")
    assert {row["strategy"] for row in shown} == set(steady)
    for row in shown:
        own = steady[row["strategy"]]
        for name in ("period_ns", "busy_ns", "idle_ns"):
            assert float(row[name]) == own[name]
    for row in rows(browser, "causes"):
        for name in set(row) - {"strategy"}:
            cause = name.removesuffix("_ns")
            assert float(row[name]) == steady[row["strategy"]]["causes"][cause]


def test_a_hostile_name_is_shown_and_does_nothing(browser: Browser, tmp_path: Path) -> None:
    trace = loop(tmp_path / "a.sqlite", kernel=HOSTILE, inner=HOSTILE, origin="measured")
    page = tmp_path / "page.html"
    page.write_text(reporters()["html"].render(analyzed(trace), Terminal()))
    browser.open(page)
    browser.ready()
    browser.until(
        "!!document.querySelector('.live') || "
        "(document.querySelector('[data-scene]').scrollIntoView(), false)"
    )
    assert browser.run("return document.scripts.length") == 2
    texts = browser.run("return document.querySelector('.live').textContent")
    assert "<script>" in texts
    # Deep in, names have room to be whole.
    browser.run(
        """const live = document.querySelector('.live');
        live.dispatchEvent(new KeyboardEvent('keydown', {key: 'g', bubbles: true}))"""
    )
    browser.until("document.querySelector('.live .flag') !== null")
    assert "alert(1)</script>" in browser.run("return document.querySelector('main').innerText")
    assert browser.complaints() == []


TAKES_OVER = "hacked=1;fetch('http://127.0.0.1:9/');document.title='hacked'"
ATTACKS = {
    "kernel": f"</script><script>{TAKES_OVER}</script>",
    "range": f'</text></svg><svg onload="{TAKES_OVER}">',
    "label": f'</title></style><img src=x onerror="{TAKES_OVER}">',
    "strategy": f"\"><iframe srcdoc='<script>{TAKES_OVER}</script>'></iframe>",
    "model": f"' autofocus onfocus='{TAKES_OVER}' x='\u202egnp.exe",
    "notes": f'<a href="javascript:{TAKES_OVER}">x</a><base href=http://127.0.0.1:9/>',
}


def test_names_that_try_to_take_over_the_page(browser: Browser, tmp_path: Path) -> None:
    manifest = {
        "origin": "measured",
        "strategy": ATTACKS["strategy"],
        "label": ATTACKS["label"],
        "workload": {"model": ATTACKS["model"], ATTACKS["range"]: 1},
        "notes": [ATTACKS["notes"], "\x1b]0;hacked\x07\x1b[31m"],
    }
    name = "<img src=x onerror=hacked=1>\u202e\x1b[31m.sqlite"
    trace = loop(
        tmp_path / name, kernel=ATTACKS["kernel"], inner=ATTACKS["range"], manifest=manifest
    )
    page = tmp_path / "page.html"
    page.write_text(reporters()["html"].render(analyzed(trace), Terminal()))
    browser.requests()
    browser.open(page)
    browser.ready()
    browser.until(
        "!!document.querySelector('.live') || "
        "(document.querySelector('[data-scene]').scrollIntoView(), false)"
    )
    browser.run(
        """for (const at of document.querySelectorAll('.live, summary, [data-tip]')) {
          at.dispatchEvent(new MouseEvent('mousemove', {bubbles: true}));
          if (at.focus) at.focus();
        }"""
    )
    assert browser.run("return typeof window.hacked") == "undefined"
    assert "hacked" not in browser.run("return document.title.split(' ')[0]")
    assert browser.run("return document.querySelectorAll('iframe, img, base, object').length") == 0
    assert browser.run("return document.scripts.length") == 2
    links = browser.run("return [...document.links].map(link => link.getAttribute('href'))")
    assert all(link.startswith(("#", "https://")) for link in links), links
    inside = """return [...document.querySelectorAll('*')].flatMap(e => [...e.attributes])
        .filter(a => a.name.startsWith('on')).length"""
    assert browser.run(inside) == 0
    text = browser.run("return document.documentElement.textContent")
    for shown in ("kernel", "label", "strategy"):
        assert ATTACKS[shown][:24] in text
    assert "\x1b" not in text
    assert {url.partition("?")[0] for url in browser.requests()} <= {page.as_uri(), "data:,"}
    assert browser.complaints() == []


@pytest.mark.parametrize(
    ("scheme", "ground"), [("light", (255, 255, 255)), ("dark", (0x14, 0x17, 0x1C))]
)
def test_both_colour_schemes(
    browser: Browser, page: Path, tmp_path: Path, scheme: str, ground: tuple[int, int, int]
) -> None:
    browser.open(page, scheme=scheme)
    browser.ready()
    width, height, corner = pixels(browser.screenshot(tmp_path / f"{scheme}.png"))
    assert (width, height) == (1280, browser.run("return document.documentElement.scrollHeight"))
    assert corner == {bytes(ground)}
    # The button beats the system.
    browser.run("for (let k = 0; k < 2; k++) document.querySelector('.theme').click()")
    background = browser.run("return getComputedStyle(document.body).backgroundColor")
    assert background == "rgb(20, 23, 28)"


@pytest.mark.parametrize("width", [360, 768, 1280, 2200])
def test_no_width_makes_the_page_scroll_sideways(browser: Browser, page: Path, width: int) -> None:
    browser.open(page, width=width)
    browser.ready()
    assert browser.run("return document.documentElement.scrollWidth") <= width


def test_contrast_of_every_text(browser: Browser, page: Path) -> None:
    """WCAG 2.1 AA, 1.4.3, of what the browser computed, in both schemes."""
    script = """
    const parse = c => (c.match(/[\\d.]+/g) || []).map(Number);
    const linear = v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    const light = c => 0.2126 * linear(c[0]) + 0.7152 * linear(c[1]) + 0.0722 * linear(c[2]);
    const ground = e => { for (; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || c[3] === 1) return c; } return parse('rgb(255,255,255)'); };
    const poor = [];
    for (const e of document.querySelectorAll('body *')) {
      if (e instanceof SVGElement || !e.checkVisibility()) continue;
      if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
      const a = light(parse(getComputedStyle(e).color)), b = light(ground(e));
      const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      if (ratio < 4.5) poor.push([e.tagName, e.className, e.innerText.slice(0, 30), ratio]);
    }
    return poor"""
    for scheme in ("light", "dark"):
        browser.open(page, scheme=scheme)
        browser.ready()
        assert browser.run(script) == []


def test_the_filter_hides_what_is_not_chosen(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.ready()
    shown = """return [...document.querySelectorAll('[data-entry]')].filter(e =>
        e instanceof SVGElement ? e.getAttribute('display') !== 'none' : !e.hidden)
        .map(e => e.dataset.entry)"""
    assert set(browser.run(shown)) == {"e1", "e2"}
    browser.run("document.querySelector('[data-filter=e2]').click()")
    assert set(browser.run(shown)) == {"e2"}
    assert browser.run("return document.querySelector('#e1').checkVisibility()") is False
    browser.run("document.querySelector('[data-all]').click()")
    assert set(browser.run(shown)) == {"e1", "e2"}


def live(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.ready()
    browser.until(f"!!{LIVE} || (document.querySelector('#e2').scrollIntoView(), false)")
    browser.run(f"{LIVE}.scrollIntoView({{block: 'center'}})")


def hover(browser: Browser, where: str, told: str) -> str:
    """What the tip says with a real pointer `where` (a script that gives [x, y] in the window).

    Lazy timelines above may still push the page about, so place and pointer are tried again.
    """
    end = time.monotonic() + 30
    while True:
        x, y = browser.run(where)
        for nudge in (1, 0):
            browser.command("Input.dispatchMouseEvent", type="mouseMoved", x=x + nudge, y=y)
        text: str = browser.run(
            "const tip = document.querySelector('.tip'); return tip.hidden ? '' : tip.innerText"
        )
        if told in text:
            return text
        assert time.monotonic() < end, f"the tip says {text!r}"
        time.sleep(0.1)


def test_pointing_at_a_span_names_it(browser: Browser, page: Path) -> None:
    live(browser, page)
    gap = f"""const gap = {LIVE}.querySelector('.gap.focus').getBoundingClientRect();
        return [gap.left + gap.width / 2, gap.top + 3]"""
    assert hover(browser, gap, "idle") == "GPU idle 51.0 µs"
    kernel = f"""const lane = {LIVE}.querySelector('.t-kernel').getBoundingClientRect();
        return [lane.left + lane.width * 0.8, lane.top + 5]"""
    assert "40.0 µs, from" in hover(browser, kernel, "stream 7")


def test_zoom_by_keys_and_buttons_and_back(browser: Browser, page: Path) -> None:
    live(browser, page)
    wide = f"{LIVE}.querySelector('.gap.focus').getBoundingClientRect().width"
    first = browser.run(f"return {wide}")
    for key in ("+", "+"):
        browser.run(
            f"{LIVE}.dispatchEvent(new KeyboardEvent('keydown', {{key: arguments[0]}}))", key
        )
    browser.until(f"{wide} > {first * 2}")
    browser.run(f"{LIVE}.closest('.tl').querySelector('[aria-label=\"Show all\"]').click()")
    browser.until(f"Math.abs({wide} - {first}) < 0.5")
    browser.run(f"{LIVE}.closest('.tl').querySelector('[aria-label=\"Zoom to the gap\"]').click()")
    browser.until(f"{wide} > 0.8 * {LIVE}.getBoundingClientRect().width")
    ticks = browser.run(f"return [...{LIVE}.querySelectorAll('.tick')].map(t => t.textContent)")
    assert "0 µs" in ticks
    # At nanoseconds nothing is lost: the axis still has its ticks.
    for _ in range(12):
        browser.run(f"{LIVE}.dispatchEvent(new KeyboardEvent('keydown', {{key: '+'}}))")
    browser.until(f"{LIVE}.querySelectorAll('.tick').length > 1")
    assert browser.complaints() == []


def test_dots_and_lines_tell_their_steps(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.ready()
    dot = """const plot = document.querySelector('[data-dots=e2] .plot');
        plot.scrollIntoView({block: 'center'});
        const box = plot.getBoundingClientRect();
        return [box.left + box.width * 12 / 17 + 1, box.top + box.height / 2]"""
    told = hover(browser, dot, "step 43")
    assert told == "step 43\nidle 163 µs of 580 µs\nmostly host"
    line = """const plot = document.querySelector('[data-lines] .plot');
        plot.scrollIntoView({block: 'center'});
        const box = plot.getBoundingClientRect();
        return [box.right - 3, box.top + box.height / 2]"""
    assert hover(browser, line, "after").splitlines() == [
        "sync (synthetic): 1.23 ms after 18 steps",
        "pipelined (synthetic): 234 µs after 18 steps",
    ]


def test_without_scripts_everything_is_there_to_read(browser: Browser, page: Path) -> None:
    browser.command("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(page)
        # The driver's own scripts still run: it asks from outside of the page.
        tree = browser.command("DOM.getDocument", depth=0)["root"]["nodeId"]
        found = browser.command("DOM.querySelectorAll", nodeId=tree, selector=".timeline")
        assert len(found["nodeIds"]) == 3
        for node in found["nodeIds"][:2]:
            box = browser.command("DOM.getBoxModel", nodeId=node)["model"]
            assert box["width"] > 800
            assert box["height"] > 150
        hidden = browser.command("DOM.querySelector", nodeId=tree, selector=".js-only")["nodeId"]
        with pytest.raises(Exception, match="Could not compute box model"):
            browser.command("DOM.getBoxModel", nodeId=hidden)
    finally:
        browser.command("Emulation.setScriptExecutionDisabled", value=False)


def test_it_prints_with_its_still_drawings(browser: Browser, page: Path) -> None:
    live(browser, page)
    pdf = browser.command("Page.printToPDF", printBackground=True)
    assert len(pdf["data"]) > 50_000
    browser.command("Emulation.setEmulatedMedia", media="print")
    shown = browser.run(
        f"return [getComputedStyle({LIVE}).display, "
        f"getComputedStyle({LIVE}.closest('.tl').querySelector('.timeline')).display, "
        "getComputedStyle(document.querySelector('.filter')).display, "
        "getComputedStyle(document.body).backgroundColor]"
    )
    browser.command("Emulation.setEmulatedMedia", media="")
    assert shown == ["none", "block", "none", "rgb(255, 255, 255)"]
