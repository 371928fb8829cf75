"""`harness bench` and `harness results` on real runs: complete, killed, interrupted, refused."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.bench.store import steps_from_blob

from .conftest import TINY

Start = Callable[..., subprocess.Popen[str]]


def query(path: Path, sql: str) -> list[tuple]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def test_every_cell_is_timed_in_every_round(session: Path) -> None:
    data = json.loads((session / "printed.json").read_text())
    assert data["session"]["status"] == "complete"
    assert [cell["key"] for cell in data["cells"]] == [
        "kv-cache b2 t12",
        "pipelined b2 t12",
        "baseline b2 t12",
    ]
    for cell in data["cells"]:
        assert [run["round"] for run in cell["runs"]] == [1, 2, 3, 4, 5, 6, 7]
        figures = cell["figures"]
        assert figures["steps_executed"] == figures["steps_kept"] == 12
        assert figures["median_low_ns"] <= figures["median_ns"] <= figures["median_high_ns"]
        assert figures["median_confidence"] == 0.95
        for run in cell["runs"]:
            # The loop's own clocks lie within the wall clock.
            assert 0 < run["prefill_ns"] + run["decode_ns"] <= run["wall_ns"]
    # Strategies alike in what they generate; one checksum a cell and for all of them.
    assert len({run["tokens_sha256"] for cell in data["cells"] for run in cell["runs"]}) == 1


def test_the_order_changes_from_round_to_round(session: Path) -> None:
    rows = query(session / "results.db", "select round, cell from runs order by id")
    orders = Counter(
        tuple(cell for number, cell in rows if number == wanted) for wanted in range(1, 8)
    )
    assert len(orders) > 1
    assert all(len(order) == 3 for order in orders)


def test_single_steps_add_up_to_the_run(session: Path) -> None:
    rows = query(session / "results.db", "select steps_ns, wall_ns, decode_ns from runs")
    for blob, wall_ns, decode_ns in rows:
        steps_ns = steps_from_blob(blob)
        assert len(steps_ns) == 11
        assert 0.5 * decode_ns < steps_ns.sum() < wall_ns


def test_metadata_is_complete(session: Path) -> None:
    data = json.loads((session / "printed.json").read_text())
    assert data["session"]["argv"][1] == "bench"
    assert data["session"]["label"] == "first"
    assert data["session"]["host"]["cores"] >= 1
    (worker,) = data["workers"]
    assert set(worker["versions"]) >= {"torch", "transformers", "python", "harness"}
    assert worker["allocator"] == "default"
    assert worker["environment"]["PYTORCH_CUDA_ALLOC_CONF"] is None
    assert data["device"]["type"] == "cpu"
    assert len(query(session / "results.db", "select * from clocks")) == 8  # 7 rounds and the end
    assert data["cells"][0]["floor"]["source"].startswith("memory bandwidth of a CPU unknown")


def test_results_lists_filters_and_shows(here, session: Path) -> None:
    listed = here("results", cwd=session)
    assert "complete" in listed.stdout
    assert "first" in listed.stdout
    shown = here("results", "--session", "last", cwd=session)
    assert "Results: runtime, s" in shown.stdout
    assert "Ranking" in shown.stdout
    filtered = here("results", "--strategy", "pipelined", "--json", cwd=session)
    (cell,) = json.loads(filtered.stdout)["cells"]
    assert (cell["strategy"], cell["runs"]) == ("pipelined", 7)
    nothing = here("results", "--strategy", "deferred", cwd=session)
    assert nothing.returncode == 1
    assert "no cell of results.db matches; it has baseline, kv-cache, pipelined" in nothing.stderr
    assert here("results", "--label", "second", cwd=session).returncode == 1
    absent = here("results", "none.db", cwd=session)
    assert (absent.returncode, absent.stdout) == (1, "")


def test_the_same_file_gives_the_same_figures(here, session: Path) -> None:
    one, two = (here("results", "--session", "last", "--json", cwd=session) for _ in range(2))
    assert one.stdout == two.stdout == (session / "printed.json").read_text()


def wait_for_runs(path: Path, count: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[1]
        try:
            if query(path, "select count(*) from runs")[0][0] >= count:
                return
        except sqlite3.Error:
            pass
        time.sleep(0.05)
    raise AssertionError(f"no {count} runs after 90 s")


def children(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(entry.parent.name))
    return found


LONG = ("--strategy", "kv-cache,pipelined", *TINY, "--max-seqlen", "50", "--rounds", "6")


def test_a_killed_session_loses_the_run_in_flight_and_resumes(
    run, start: Start, tmp_path: Path
) -> None:
    process = start("bench", *LONG, cwd=tmp_path)
    path = tmp_path / "results.db"
    wait_for_runs(path, 3, process)
    (worker,) = children(process.pid)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 10  # nothing goes on measuring without its parent
    while Path(f"/proc/{worker}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{worker}").exists()

    before = query(path, "select id, cell, round, wall_ns from runs order by id")
    assert 3 <= len(before) < 12
    resumed = run("bench", "--resume", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert "resuming session" in resumed.stderr
    after = query(path, "select id, cell, round, wall_ns from runs order by id")
    assert after[: len(before)] == before  # what was there stays as it was
    # Every cell in every round, none twice.
    assert Counter((cell, number) for _, cell, number, _ in after) == Counter(
        {(cell, number): 1 for cell in (1, 2) for number in range(1, 7)}
    )
    assert query(path, "select distinct status from sessions") == [("complete",)]
    assert len(query(path, "select * from workers")) == 2

    again = run("bench", "--resume", cwd=tmp_path)
    assert again.returncode == 1
    assert "is complete, there is nothing to resume" in again.stderr


def test_resume_refuses_another_plan(run, start: Start, tmp_path: Path) -> None:
    process = start("bench", *LONG, cwd=tmp_path)
    wait_for_runs(tmp_path / "results.db", 1, process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted: --resume goes on" in err
    assert "Traceback" not in err
    assert "(interrupted)" in out  # what there is, is shown
    other = run("bench", "--resume", *LONG[:-1], "5", cwd=tmp_path)
    assert other.returncode == 2
    assert "measures something else than these options ask for" in other.stderr


def test_a_worker_that_dies_costs_its_cell_alone(run, start: Start, tmp_path: Path) -> None:
    process = start("bench", *LONG, cwd=tmp_path)
    path = tmp_path / "results.db"
    wait_for_runs(path, 3, process)
    (worker,) = children(process.pid)
    os.kill(worker, signal.SIGKILL)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "not measured: the measuring process was killed by signal 9" in err
    assert "Traceback" not in err
    counts = dict(query(path, "select cell, count(*) from runs group by cell"))
    assert sorted(counts.values())[-1] == 6
    assert query(path, "select status from sessions") == [("complete",)]


def test_a_budget_stops_in_time_and_says_how_to_go_on(run, tmp_path: Path) -> None:
    began = time.monotonic()
    done = run(
        "bench", "--strategy", "kv-cache,pipelined", *TINY, "--max-seqlen", "30",
        "--rounds", "100000", "--time-budget", "14", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began < 120  # all rounds take hours; a busy machine starts slowly
    assert "out of time: --resume goes on" in done.stderr
    counts = query(tmp_path / "results.db", "select count(*) from runs group by cell")
    assert 1 <= len(counts) <= 2  # a machine under load gets no further than the first
    assert all(1 <= count < 100_000 for (count,) in counts)


def test_what_cannot_be_measured_is_listed_with_its_reason(run, tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("a GPU is here: what needs one can run")
    done = run(
        "bench", "--strategy", "kv-cache,kv-cache-expandable", *TINY, "--max-seqlen", "8,5000",
        "--rounds", "1", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 1  # 5000 tokens do not fit; what this machine lacks is no failure
    said = " ".join(done.stdout.split())
    assert "not measured: kv-cache-expandable b2 t8, kv-cache-expandable b2 t5000" in said
    assert "needs a CUDA GPU" in said
    assert "not measured: kv-cache b2 t5000: 16 prompt tokens" in said
    assert "the model has 512 positions" in said
    assert query(tmp_path / "results.db", "select count(*) from runs") == [(1,)]
    both = query(tmp_path / "results.db", "select allocator from workers order by id")
    assert sorted(both) == [("default",), ("expandable",)]  # a process each


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        ([], 2, "nothing to measure"),
        (["--resume", "--rounds", "20"], 2, "--rounds is part of the session"),
        (["--resume", "--label", "x"], 2, "--label is part of the session"),
        (["--strategy", "nothing"], 2, "no strategy is called 'nothing'"),
        (["--strategy", "kv-cache", "--all"], 2, "exclude each other"),
        (["--preset", "article", "--batch-size", "3"], 2, "decides --batch-size itself"),
        (["--preset", "nothing"], 2, "is none of article"),
        (["--strategy", "kv-cache", "--max-seqlen", "0"], 2, "is not a list of numbers"),
        (["--strategy", "kv-cache", "--max-seqlen", "9" * 5000], 2, "is not a list of numbers"),
        (
            ["--strategy", "kv-cache", "--prompt-tokens", "9" * 5000],
            2,
            "is not a list of token ids",
        ),
        (["--strategy", "kv-cache", "--rounds", "0"], 2, "--rounds is 0"),
        (["--strategy", "kv-cache", "--seed", "9" * 20], 2, "--seed is 99999999999999999999"),
        (["--strategy", "kv-cache", "--bandwidth", "-5"], 2, "--bandwidth is -5.0"),
        (["--strategy", "kv-cache", "--bandwidth", "nan"], 2, "--bandwidth is nan"),
        (["--strategy", "kv-cache", "--session", "x"], 2, "--session is for --resume"),
        (["--resume"], 1, "results.db does not exist, there is nothing to resume"),
        (["--strategy", "kv-cache", "-o", "missing/r.db"], 1, "missing is not a directory"),
        (["--strategy", "kv-cache", "-o", "."], 2, "is a directory"),
    ],
)
def test_what_makes_no_sense_is_refused_before_any_work(
    here, tmp_path: Path, args: list[str], code: int, says: str
) -> None:
    done = here("bench", *args, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (code, "")
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 4
    assert list(tmp_path.iterdir()) == []
