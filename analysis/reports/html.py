"""One page that opens offline: verdict, charts, timelines, tables. Nothing is loaded from anywhere.

Drawings are SVG made here, so that the page reads the same with scripts off; the script adds
hovering, zoom and the filter. The content policy allows exactly the page's own style and script,
by hash, and nothing else: names recorded in a trace are text, whatever they hold.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..figures.palette import css_classes, css_variables
from ..model.text import plain
from ..scenes.entries import entries_of
from .base import Report, Reporter, Terminal
from .html_charts import charts_of
from .html_facts import failures, glossary, metadata, validity
from .html_scenes import scenes_of
from .html_strategies import strategies_of
from .html_tables import comparison, more_tables
from .verdict import findings

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"


def render(report: Report, terminal: Terminal) -> str:
    """The whole page."""
    del terminal
    entries = entries_of(report.traces)
    scenes = scenes_of(entries)
    style, script = _style(), (TEMPLATES / "report.js").read_text("utf-8")
    charts = charts_of(entries)
    data = {"scenes": scenes.data, "steps": charts.data}
    environment = _environment()
    page = environment.get_template("report.html.j2").render(
        policy=_policy(style, script),
        style=_markup(style),
        script=_markup(script),
        data=_packed(data),
        findings=findings(report, entries),
        entries=entries,
        origins=_origins(report),
        charts=charts,
        strategies=strategies_of(entries, scenes),
        spans=scenes.legend,
        comparison=comparison(report),
        tables=more_tables(report),
        validity=validity(report),
        metadata=metadata(report),
        failures=failures(report),
        glossary=glossary(),
        version=report.tool_version,
        title=_title(report),
    )
    return page if page.endswith("\n") else page + "\n"


def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Drawings escape their own texts; every other value is escaped by the template.
    environment.filters["drawing"] = _markup
    environment.filters["plain"] = plain
    return environment


def _packed(data: dict[str, Any]) -> str:
    """JSON, deflated, in base64: a third of its size, and no name can end the element it is in."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(zlib.compress(text.encode("utf-8"), 9)).decode("ascii")


def _markup(text: str) -> Any:
    from markupsafe import Markup

    return Markup(text)


def _style() -> str:
    text = (TEMPLATES / "report.css").read_text("utf-8")
    return (
        text.replace("/*LIGHT*/", css_variables(0))
        .replace("/*DARK*/", css_variables(1))
        .replace("/*TONES*/", css_classes())
    )


def _policy(style: str, script: str) -> str:
    """Content-Security-Policy: this style and this script by hash, and nothing from anywhere."""

    def of(text: str) -> str:
        return base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")

    return (
        f"default-src 'none'; style-src 'sha256-{of(style)}'; script-src 'sha256-{of(script)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
    )


def _origins(report: Report) -> list[tuple[str, str]]:
    """What was not measured, loudly: (origin, sentence)."""
    total = len(report.traces)
    meanings = {
        "simulated": "come from a model of a GPU. No figure of theirs was measured.",
        "synthetic": "were made up by a script. No figure of theirs was measured or modelled.",
    }
    found = []
    for origin, meaning in meanings.items():
        count = sum(1 for t in report.traces if t.trace.source.origin == origin)
        if count:
            all_of = "All traces in this report" if count == total else f"{count} of {total} traces"
            found.append((origin, f"{all_of} {meaning}"))
    return found


def _title(report: Report) -> str:
    labels = list(dict.fromkeys(plain(t.label, 40) for t in report.traces))
    shown = ", ".join(labels[:3]) + (", …" if len(labels) > 3 else "")
    return f"GPU idle time: {shown}" if shown else "GPU idle time"


REPORTER = Reporter("html", (".html", ".htm"), "one page with charts and timelines", render)
