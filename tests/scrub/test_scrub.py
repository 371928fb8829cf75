"""What a trace must not carry to others, planted wherever a trace can hold it."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.analysis.readers.diagnostics import safe
from harness.errors import HarnessError, UsageError
from harness.scrub import policy
from harness.scrub.scrub import _Copy, scrub
from harness.scrub.search import found_in
from tests.conftest import DATA, ROOT
from tests.endless import ENDLESS
from tests.report.build import loop

CANARY = "canary-7f3a-hunter2"

# Columns as the schemas of 2022.4 to 2026.4 have them; X is where a secret stands.
TABLES = {
    "TARGET_INFO_SYSTEM_ENV": "globalVid INTEGER, devStateName TEXT, name TEXT, nameEnum INTEGER, "
    "value TEXT",
    "TARGET_INFO_PROCESS": "processId INTEGER, openGlVersion TEXT, nameId INTEGER",
    "TARGET_INFO_NVTX_CUDA_DEVICE": "deviceId INTEGER, name TEXT",
    "TARGET_INFO_NVTX_CUDA_CONTEXT": "contextId INTEGER, name TEXT",
    "TARGET_INFO_NVTX_CUDA_STREAM": "streamId INTEGER, name TEXT",
    "TARGET_INFO_WDDM_CONTEXTS": "context INTEGER, friendlyName TEXT",
    "TARGET_INFO_NIC_INFO": "id INTEGER, name TEXT, guid TEXT",
    "TARGET_INFO_NETWORK_DEVICES": "id INTEGER, name TEXT",
    "TARGET_INFO_XMC_SPEC": "vmId INTEGER, type TEXT, name TEXT, groupId TEXT",
    "META_DATA_CAPTURE": "name TEXT, value TEXT",
    "ProcessStreams": "globalPid INTEGER, filenameId INTEGER, contentId INTEGER, content TEXT",
    "ANALYSIS_FILE": "id INTEGER, filename TEXT, contentId INTEGER, globalPid INTEGER",
    "OSRT_FILE_ACCESS_DESCRIPTORS": "fileAccessId INTEGER, filePath TEXT",
    "OSRT_FILE_ACCESS_EVENTS": "start INTEGER, fileAccessId INTEGER, path TEXT",
    "CUDA_CALLCHAINS": "id INTEGER, symbol INTEGER, module TEXT",
    "OSRT_CALLCHAINS": "id INTEGER, symbol INTEGER, module TEXT",
    "SAMPLING_CALLCHAINS": "id INTEGER, symbol INTEGER, symbolName TEXT",
    "CUDA_GPU_MEMORY_USAGE_EVENTS": "start INTEGER, name TEXT",
}
KEPT_TABLES = {
    "PROCESSES": "globalPid INTEGER, pid INTEGER, name TEXT",
    "EXPORT_META_DATA": "name TEXT, value TEXT",
    "SCHED_EVENTS": "start INTEGER, cpu INTEGER, note TEXT",
    "UNHEARD_OF": "id INTEGER, whatever TEXT",
    "UNHEARD_OF_NUMBERS": "id INTEGER, weight REAL",
}


def secret(*where: object) -> str:
    return f"{CANARY}-{'-'.join(map(str, where))}-end"


def plant(trace: Path, *, encoding: str = "UTF-8") -> list[str]:
    """Secrets in every table that may hold one, in free pages and in an index."""
    planted = []
    with contextlib.closing(sqlite3.connect(trace)) as base:
        base.execute("PRAGMA secure_delete = OFF")  # some builds of SQLite zero what is freed
        for table, columns in {**TABLES, **KEPT_TABLES}.items():
            base.execute(f"DROP TABLE IF EXISTS {table}")
            base.execute(f"CREATE TABLE {table} ({columns} /* {secret('comment')} */)")
            kinds = [column.split()[1] for column in columns.split(", ")]
            for row in range(3):
                values = [
                    secret(table, row, k) if kind == "TEXT" else row for k, kind in enumerate(kinds)
                ]
                planted += [value for value in values if isinstance(value, str)]
                base.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(kinds))})", values)
        lines = "\0".join((f"TOKEN={secret('env')}", f"HOME=/home/{secret('home')}"))
        base.execute("INSERT INTO META_DATA_CAPTURE VALUES ('ENVIRONMENT', ?)", (lines,))
        base.execute("INSERT INTO StringIds VALUES (9001, ?)", (lines,))
        base.execute("INSERT INTO StringIds VALUES (9002, ?)", ("x" * 9000 + secret("long"),))
        base.execute("INSERT INTO META_DATA_EXPORT VALUES ('EXPORT_USER', ?)", (secret("user"),))
        base.execute("INSERT INTO META_DATA_EXPORT VALUES ('EXPORT_HOST', ?)", (secret("host"),))
        base.execute("UPDATE TARGET_INFO_SESSION_START_TIME SET localTime = ?", (secret("zone"),))
        base.execute("DROP TABLE IF EXISTS DIAGNOSTIC_EVENT")
        base.execute(
            "CREATE TABLE DIAGNOSTIC_EVENT (timestamp INTEGER, severity INTEGER, text TEXT)"
        )
        base.executemany(
            "INSERT INTO DIAGNOSTIC_EVENT VALUES (1, ?, ?)",
            [
                (2, f"lost 7 events of /home/{secret('path')}/a.py, TOKEN={secret('said')}"),
                (1, f"started {secret('info')}"),
                (secret("severity"), "text where a number was expected"),
            ],
        )
        # Deleted rows stay in free pages, and an index holds a copy of its column.
        base.execute("CREATE TABLE gone (value TEXT)")
        base.executemany("INSERT INTO gone VALUES (?)", [(secret("free") * 50,)] * 200)
        base.execute("CREATE INDEX told ON META_DATA_CAPTURE (value)")
        base.execute(f"CREATE VIEW seen AS SELECT '{secret('view')}'")
        base.commit()
        base.execute("DROP TABLE gone")
        base.commit()
    return planted


def raw(path: Path) -> bytes:
    return path.read_bytes()


def holds(path: Path) -> bool:
    data = raw(path)
    return any(CANARY.encode(code) in data for code in ("utf-8", "utf-16-le", "utf-16-be"))


@pytest.fixture
def trace(tmp_path):
    return loop(tmp_path / "run.sqlite", manifest=manifest())


def manifest() -> dict:
    return {
        "origin": "synthetic",
        "exit_code": 0,
        "strategy": "sync",
        "label": "run",
        "argv": ["python", f"/home/{secret('argv')}/train.py", f"--token={secret('token')}"],
        "capture": {"backend": "nsys", "graph_trace": "node", "options": [secret("options")]},
        "workload": {"model": f"/models/{secret('model')}", "batch_size": 4, "prompt_tokens": [1]},
        "host": {"cpu": "Example", "cores": 2, "name": secret("hostname")},
        "device": {"kind": "cuda", "path": secret("device")},
        "git": {"revision": secret("git"), "dirty": False},
        "result": {"said": secret("result")},
        "notes": [f"imported with {secret('note')}"],
        "left_out": [secret("left out")],
        "invented": secret("unknown key"),
    }


def test_a_secret_in_every_place(trace, tmp_path):
    assert {*TABLES} == policy.EMPTIED
    plant(trace)
    before = raw(trace)
    assert before.count(secret("free").encode()) > 1000
    done = scrub(trace, tmp_path / "clean.sqlite")
    assert raw(trace) == before
    assert not holds(tmp_path / "clean.sqlite")
    assert not holds(tmp_path / "clean.json")
    assert dict(done.emptied).keys() == TABLES.keys()
    assert done.dropped == (("UNHEARD_OF", 3),)
    assert done.searched.values > 90
    with contextlib.closing(sqlite3.connect(tmp_path / "clean.sqlite")) as base:
        assert base.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        for table in TABLES:
            assert base.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
        assert base.execute("SELECT * FROM UNHEARD_OF_NUMBERS").fetchall() == [
            (0, 0.0), (1, 1.0), (2, 2.0),
        ]  # fmt: skip
        assert base.execute("SELECT pid, name FROM PROCESSES").fetchall() == [
            (0, None), (1, None), (2, None),
        ]  # fmt: skip
        assert base.execute("SELECT text FROM DIAGNOSTIC_EVENT").fetchall() == [
            ("lost 7 events of …, TOKEN=…",), ("",), ("",),
        ]  # fmt: skip
        kinds = {kind for (kind,) in base.execute("SELECT DISTINCT type FROM sqlite_master")}
        assert kinds == {"table"}


def test_a_trace_in_utf_16(tmp_path):
    source = loop(tmp_path / "narrow.sqlite")
    wide = tmp_path / "wide.sqlite"
    with contextlib.closing(sqlite3.connect(wide)) as base:
        base.execute("PRAGMA encoding = 'UTF-16le'")
        with contextlib.closing(sqlite3.connect(source)) as narrow:
            base.executescript("\n".join(narrow.iterdump()))
    plant(wide)
    assert CANARY.encode("utf-16-le") in raw(wide)
    scrub(wide, tmp_path / "clean.sqlite")
    assert not holds(tmp_path / "clean.sqlite")


def test_a_pending_log_is_refused_and_the_input_left_as_it_is(trace, tmp_path):
    with contextlib.closing(sqlite3.connect(trace)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("CREATE TABLE ProcessStreams (content TEXT)")
        writer.execute("INSERT INTO ProcessStreams VALUES (?)", (secret("log"),))
        writer.commit()
        files = {path.name: raw(path) for path in tmp_path.iterdir() if "shm" not in path.name}
        assert CANARY.encode() in files["run.sqlite-wal"]
        link = tmp_path / "link.sqlite"
        link.symlink_to(trace)
        for given in (trace, link):
            with pytest.raises(HarnessError, match=r"unfinished write beside it, run\.sqlite-wal"):
                scrub(given, tmp_path / "clean.sqlite")
        link.unlink()
        left = {path.name: raw(path) for path in tmp_path.iterdir() if "shm" not in path.name}
        assert left == files


def test_a_view_and_a_table_of_a_module_are_left_out(trace, tmp_path):
    with contextlib.closing(sqlite3.connect(trace)) as writer:
        writer.execute(f"CREATE VIEW endless AS {ENDLESS}")
        writer.execute("CREATE VIRTUAL TABLE texts USING fts5(n, content='endless')")
        writer.commit()
    scrub(trace, tmp_path / "clean.sqlite")
    with contextlib.closing(sqlite3.connect(tmp_path / "clean.sqlite")) as clean:
        names = {name for (name,) in clean.execute("SELECT name FROM sqlite_master")}
    assert not names & {"endless", "texts"}


def test_a_secret_that_a_range_is_named_after(trace, tmp_path):
    with contextlib.closing(sqlite3.connect(trace)) as base:
        base.execute("CREATE TABLE META_DATA_CAPTURE (name TEXT, value TEXT)")
        base.execute("INSERT INTO META_DATA_CAPTURE VALUES ('ENV', 'STAGE=Model Forward')")
        base.commit()
    with pytest.raises(HarnessError, match=r"STAGE \(in StringIds.value\).*--allow NAME"):
        scrub(trace, tmp_path / "clean.sqlite")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.json", "run.sqlite"]
    done = scrub(trace, tmp_path / "clean.sqlite", allow=("STAGE",))
    assert done.searched.allowed == ("STAGE",)


def test_a_leak_in_the_bytes_is_found_and_nothing_is_written(trace, tmp_path, monkeypatch):
    plant(trace)
    original = _Copy.run

    def leaky(self):
        original(self)
        with self._output.open("ab") as file:
            file.write(secret("env").encode("utf-16-le"))

    monkeypatch.setattr(_Copy, "run", leaky)
    with pytest.raises(HarnessError, match=r"TOKEN \(in the file's bytes, in no row\)"):
        scrub(trace, tmp_path / "clean.sqlite")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.json", "run.sqlite"]


def figures(inside, trace: Path, *options: str) -> dict:
    done = inside("gaps", trace, "--format", "json", *options)
    found = json.loads(done.stdout) if done.stdout else {"exit": done.returncode}
    for one in found.get("traces", []):
        one.pop("path")
        one["answer"].pop("next")
        if one["bare"]:
            one["bare"].pop("trace")
    for row in found.get("calibration", []):
        row.pop("trace")
    return found


def traces() -> list[Path]:
    return [
        *sorted((ROOT / "traces").glob("*.sqlite")),
        *sorted(DATA.glob("*.sqlite.gz")),
    ]


@pytest.mark.parametrize("path", traces(), ids=lambda path: path.name.partition(".")[0])
def test_every_figure_stays(path, public_traces, inside, tmp_path):
    if path.suffix == ".gz":
        path = public_traces / path.stem
    clean = tmp_path / "clean" / path.name
    clean.parent.mkdir()
    before = raw(path)
    scrub(path, clean)
    assert raw(path) == before
    assert figures(inside, clean) == figures(inside, path)
    again = tmp_path / "again" / path.name
    again.parent.mkdir()
    scrub(clean, again)
    assert raw(again) == raw(clean)


def test_the_command(trace, inside, tmp_path):
    plant(trace)
    done = inside("scrub", trace, "-o", "clean.sqlite")
    assert done.returncode == 0, done.stderr
    assert CANARY not in done.stdout + done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "  TARGET_INFO_SYSTEM_ENV (3 rows)" in done.stdout
    assert "Left out: not known, and with text\n  UNHEARD_OF (3 rows)" in done.stdout
    again = inside("scrub", trace, "-o", "clean.sqlite")
    assert again.returncode == 1
    assert "clean.sqlite exists; add --force" in again.stderr
    same = inside("scrub", "run.sqlite", "-o", "run.sqlite", "--force")
    assert (same.returncode, "is the input run.sqlite" in same.stderr) == (2, True)
    for bad, code, words in (
        ("clean.txt", 2, "let its name end in .sqlite"),
        ("nowhere/clean.sqlite", 1, "nowhere is not a directory; create it first"),
    ):
        refused = inside("scrub", trace, "-o", bad)
        assert (refused.returncode, words in refused.stderr) == (code, True)


def test_a_manifest_of_another_trace_is_not_left_beside_the_copy(tmp_path):
    bare = loop(tmp_path / "bare.sqlite")
    (tmp_path / "clean.json").write_text('{"manifest_version": 1, "origin": "measured"}')
    with pytest.raises(HarnessError, match=r"clean.json exists"):
        scrub(bare, tmp_path / "clean.sqlite")
    scrub(bare, tmp_path / "clean.sqlite", force=True)
    assert not (tmp_path / "clean.json").exists()


def test_the_manifest_of_the_trace_is_never_overwritten(tmp_path):
    bare = loop(tmp_path / "run.db")
    (tmp_path / "run.json").write_text('{"manifest_version": 1, "origin": "measured"}')
    before = (tmp_path / "run.json").read_bytes()
    with pytest.raises(UsageError, match=r"run.json is the manifest of the input .*run.db"):
        scrub(bare, tmp_path / "run.sqlite", force=True)
    assert (tmp_path / "run.json").read_bytes() == before
    assert not (tmp_path / "run.sqlite").exists()


def test_a_text_that_is_no_unicode_is_searched_for(tmp_path):
    bare = loop(tmp_path / "bare.sqlite")
    (tmp_path / "bare.json").write_text('{"manifest_version": 1, "notes": ["\\ud800 abcdefgh"]}')
    scrub(bare, tmp_path / "clean.sqlite")
    with contextlib.closing(sqlite3.connect(bare)) as base, base:
        odd = "cast(x'ff4142434445464748494a' as text)"
        base.execute("CREATE TABLE IF NOT EXISTS TARGET_INFO_SYSTEM_ENV (name TEXT, value TEXT)")
        base.execute(f"INSERT INTO TARGET_INFO_SYSTEM_ENV (name, value) VALUES ('ODD', {odd})")
        base.execute(f"UPDATE NVTX_EVENTS SET text = {odd}")
    with pytest.raises(HarnessError, match=r"ODD \(in NVTX_EVENTS.text\)"):
        scrub(bare, tmp_path / "other.sqlite")


@pytest.mark.parametrize("at", [0, 1, 5, (1 << 24) - 9, (1 << 24) - 1, (1 << 24) + 3])
def test_the_search_finds_a_value_anywhere(tmp_path, at):
    path = tmp_path / "bytes"
    for code in ("utf-8", "utf-16-le", "utf-16-be"):
        path.write_bytes(b"\0" * at + CANARY.encode(code) + b"tail")
        assert found_in(path, [CANARY, "something else", "short"]) == {CANARY}
    path.write_bytes(b"\0" * at + CANARY[:-1].encode())
    assert found_in(path, [CANARY]) == set()


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.text("abé=", min_size=8, max_size=10), max_size=4), st.binary(max_size=40))
def test_the_search_agrees_with_in(tmp_path_factory, values, noise):
    path = tmp_path_factory.getbasetemp() / "searched"
    data = noise + b"".join(value.encode() for value in values[::2]) + noise
    path.write_bytes(data)
    expected = {
        value
        for value in values
        if any(value.encode(code) in data for code in ("utf-8", "utf-16-le", "utf-16-be"))
    }
    assert found_in(path, values) == expected


@given(st.text() | st.text("ab/~=…. \n;,C:\\\\\"'"))
def test_a_safe_message_stays_as_it_is(text):
    assert safe(safe(text)) == safe(text)
    assert safe(text).isprintable()
