"""What people type for a command, and the command that does it."""

from __future__ import annotations

import difflib
import os
import shlex
from collections.abc import Sequence

MEANT = {
    "profile": "record run trace capture start launch collect exec prof rec",
    "gaps": "analyze analyse analysis gap idle stats stat summary summarize summarise inspect info "
    "why cause causes steps kernels bubbles",
    "compare": "diff cmp vs regress regression gate check-regression",
    "report": "view html page dashboard web plot charts visualize visualise",
    "open": "ui gui nsys-ui viewer",
    "show": "timeline draw step figure print",
    "predict": "whatif what-if simulate sim gain gains replay project estimate",
    "bench": "benchmark time timing measure speed",
    "doctor": "check diagnose health setup verify install env environment",
    "export": "convert perfetto csv parquet pandas dump save",
    "scrub": "clean anonymize anonymise redact sanitize sanitise strip share",
    "explain": "glossary define definition what word words terms meaning error errors code codes",
    "strategies": "strategy presets preset list ls models",
    "results": "history sessions session db",
    "calibrate": "fit tune",
    "cache": "clear purge",
}
"""Command -> words for it."""

TRACES = (
    ".sqlite", ".nsys-rep", ".json", ".json.gz", ".qdstrm", ".db", ".sqlite3", ".parquet", ".arrow",
)  # fmt: skip
"""What the names of traces end with."""


def behind_its_command(words: Sequence[str], commands: Sequence[str]) -> str | None:
    """The command line with what stands before the command behind it; None where there is no
    command in it.

    >>> behind_its_command(["-q", "gaps", "run.sqlite"], ["gaps", "show"])
    'harness gaps -q run.sqlite'
    """
    first = next((k for k, word in enumerate(words) if word in commands), None)
    if first is None:
        return None
    before = [word for word in words[:first] if word != "--"]
    return shlex.join(["harness", words[first], *before, *words[first + 1 :]])


def meant_by(word: str, rest: Sequence[str], commands: Sequence[str]) -> str | None:
    """The command line that `word`, which is no command, most likely stands for.

    `rest` are the words behind it. None where nothing comes to mind.
    """
    lower = word.lower().replace("_", "-")
    if lower in commands:
        return f"harness {lower}"
    if word.endswith(".py"):
        return shlex.join(["harness", "profile", word, *rest])
    if lower.endswith(TRACES) or os.path.isdir(word):
        return shlex.join(["harness", "gaps", word, *rest])
    words = {text: name for name, texts in MEANT.items() for text in texts.split()}
    known = {**words, **{name: name for name in commands}}
    if lower not in known:
        near = difflib.get_close_matches(lower, known, n=1, cutoff=0.7)
        if not near:
            return None
        lower = near[0]
    return f"harness {known[lower]}"
