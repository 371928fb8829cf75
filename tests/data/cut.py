"""How the exports here were cut from the files in LICENSES.

python tests/data/cut.py power_iteration__baseline.sqlite tests/data/power_iteration.sqlite.gz
python tests/data/cut.py bert-trace.json.gz tests/data/h100_bert_with_stack.json.gz
"""

from __future__ import annotations

import gzip
import json
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path

KEPT = {
    "SAMPLING_CALLCHAINS": 200, "SCHED_EVENTS": 200, "COMPOSITE_EVENTS": 200,
    "OSRT_CALLCHAINS": 200, "PROCESSES": 200, "NVTX_EVENTS": 1000,
}  # fmt: skip
"""Rows kept of tables that no figure of the GPU comes from. GPU work and CUDA calls stay whole."""


def cut(source: Path, target: Path) -> None:
    """Write `source`, cut and packed, to `target`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cut.sqlite"
        path.write_bytes(source.read_bytes())
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            there = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
            for table in KEPT.keys() & there:
                database.execute(
                    f"DELETE FROM {table} WHERE rowid NOT IN "
                    f"(SELECT rowid FROM {table} ORDER BY rowid LIMIT {KEPT[table]})"
                )
            database.execute("VACUUM")
        target.write_bytes(gzip.compress(path.read_bytes(), 9, mtime=0))


def without_metadata(source: Path, target: Path) -> None:
    """Write torch.profiler's JSON without what its recorder said of itself and its environment,
    which holds names and may hold secrets; the text of everything else stays as it is."""
    text = gzip.decompress(source.read_bytes()).decode()
    begin = text.index('"metadata"')
    begin = text.index("{", begin)
    _, end = json.JSONDecoder().raw_decode(text, begin)
    target.write_bytes(gzip.compress((text[:begin] + "{}" + text[end:]).encode(), 9, mtime=0))


if __name__ == "__main__":
    given, written = Path(sys.argv[1]), Path(sys.argv[2])
    (without_metadata if given.name.endswith(".json.gz") else cut)(given, written)
