"""What was left out of a scrubbed copy, and the proof that it is not there."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path

from . import policy
from .errors import StillInTheCopy
from .search import encoded, found_in, searchable

_PIECE = 256
"""Characters of a long value that are searched for at once: pages cut longer ones apart."""


@dataclass
class Removed:
    """Values that were left out, with what each is called (a variable, a table).

    `secrets` may stand nowhere in the copy; `names` (of processes, symbols, files) only where a
    kept name is the same. `short` counts values too short to be searched for.
    """

    secrets: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    short: int = 0

    def secret(self, called: str, value: str) -> None:
        """A value of the environment, the command line, the metadata, or the target's output."""
        for part in re.split(r"[\0\r\n]+", value):
            name, equals, assigned = part.partition("=")
            if equals and re.fullmatch(r"\w+", name):
                self._keep(self.secrets, name, assigned)
            else:
                self._keep(self.secrets, called, part)

    def name(self, called: str, value: str) -> None:
        """A name that was not needed."""
        self._keep(self.names, called, value)

    def _keep(self, kind: dict[str, str], called: str, value: str) -> None:
        value = value.strip()
        if not searchable(value):
            self.short += bool(value)
            return
        for at in range(0, len(value), _PIECE):
            piece = value[at : at + _PIECE]
            if searchable(piece):
                kind.setdefault(piece, called)


@dataclass(frozen=True)
class Searched:
    """How many values were searched for, how many of them a kept name holds too, and the names of
    those that were allowed to stay."""

    values: int
    shared: int
    allowed: tuple[str, ...]


def verify(part: Path, manifest: str | None, removed: Removed, allow: tuple[str, ...]) -> Searched:
    """Search the copy and its manifest. Raises HarnessError where a value stands that may not."""
    everything = {**removed.names, **removed.secrets}
    telling = "" if manifest is None else _without_versions(manifest)
    hits = found_in(part, everything)
    if manifest is not None:
        hits |= {value for value in everything if value in manifest}
    bad, allowed = [], set()
    for value in sorted(hits):
        called = everything[value]
        places = _places(part, value)
        if manifest is not None and value in manifest:
            places.append("the manifest" if value in telling else policy.VERSIONS)
        if called in allow:
            allowed.add(called)
        elif not places:
            bad.append(f"{called} (in the file's bytes, in no row)")
        elif value in removed.secrets:
            told = [where for where in places if not where.startswith(policy.HARMLESS)]
            if told:
                bad.append(f"{called} (in {', '.join(told[:3])})")
    if bad:
        shown = "; ".join(dict.fromkeys(bad[:5])) + (f"; and {len(bad) - 5} more" * (len(bad) > 5))
        raise StillInTheCopy(
            f"nothing was written: values that were to be removed stand in what is kept: {shown}"
        )
    return Searched(len(everything), len(hits), tuple(sorted(allowed)))


def _without_versions(manifest: str) -> str:
    """A manifest without what it says of hardware and versions."""
    data = json.loads(manifest)
    return json.dumps(
        {key: value for key, value in data.items() if key not in policy.VERSIONS_IN_MANIFEST},
        ensure_ascii=False,
    )


def _places(part: Path, value: str) -> list[str]:
    """Table.column of the kept texts that hold the value."""
    found = []
    sought, term = _bound(value)
    with contextlib.closing(sqlite3.connect(f"{part.as_uri()}?mode=ro", uri=True)) as base:
        tables = [name for (name,) in base.execute("SELECT name FROM sqlite_master")]
        for table in tables:
            columns = [row[1] for row in base.execute(f"PRAGMA table_info({quoted(table)})")]
            for column in columns:
                if column in policy.texts_of(table):
                    holds = f"instr({quoted(column)}, {term})"
                    query = f"SELECT 1 FROM {quoted(table)} WHERE {holds}"
                    if base.execute(f"{query} LIMIT 1", (sought,)).fetchone():
                        where = f"{table}.{column}"
                        if table == "StringIds" and "ThreadNames" in tables:
                            # A launcher's thread is called like its program: torchrun.
                            wholly = f"{quoted(column)} = {term} AND {policy.NAMES_A_THREAD}"
                            query += f" AND NOT ({wholly}) LIMIT 1"
                            if not base.execute(query, (sought, sought)).fetchone():
                                where = policy.THREADS
                        found.append(where)
    return found


def _bound(value: str) -> tuple[str | bytes, str]:
    """A value as sqlite3 takes it, and the term for it: what is no UTF-8 is cast from bytes."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return encoded(value), "CAST(? AS TEXT)"
    return value, "?"


def quoted(name: str) -> str:
    """A name as SQL takes it."""
    return '"' + name.replace('"', '""') + '"'
