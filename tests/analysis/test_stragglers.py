"""Which rank makes the others wait: exact where every arrival is known."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.analysis.analyze import analyze
from harness.analysis.model.launchers import rank_in_path
from harness.analysis.question import Question, StepPattern
from harness.analysis.ranks.collectives import rank_steps
from harness.analysis.ranks.stragglers import JobRanks
from harness.analysis.reports.base import Report
from harness.analysis.reports.tables.ranks import headline, jobs_of, rank_lines
from harness.analysis.writer.writer import TraceBuilder

from .ranks import LAUNCH, US, job, write_rank

STEPS = 14


def compared(paths: list[Path]) -> tuple[JobRanks, ...]:
    return jobs_of(Report(tuple(analyze(path) for path in paths), (), Question(by="rank")))


def only(paths: list[Path]) -> JobRanks:
    (found,) = compared(paths)
    return found


def steady(values: list[int]) -> list[list[int]]:
    return [[value] * STEPS for value in values]


def test_the_example_of_the_definitions(tmp_path: Path) -> None:
    found = only(job(tmp_path, steady([10, 10, 60]), steady([85, 85, 85])))
    assert (found.reason, found.notes, found.steps_left_out) == ("", (), 0)
    assert [one.rank for one in found.ranks] == [0, 1, 2]
    assert {one.rank_from for one in found.ranks} == {"file name"}
    assert {one.steps for one in found.ranks} == {STEPS - 2}
    # Arrivals 100, 100 and 150 us into the step; the collective ends at 170.
    assert [one.period_ns for one in found.ranks] == [170 * US] * 3
    assert [one.communication_ns for one in found.ranks] == [70 * US, 70 * US, 20 * US]
    assert [one.compute_ns for one in found.ranks] == [85 * US] * 3
    assert [one.idle_ns for one in found.ranks] == [15 * US, 15 * US, 65 * US]
    assert [one.wait_ns for one in found.ranks] == [50 * US, 50 * US, 0]
    assert [one.last_share for one in found.ranks] == [0, 0, 1]
    assert [one.made_wait_ns for one in found.ranks] == [0, 0, 50 * US]
    assert [one.alone_ns for one in found.ranks] == [0, 0, 50 * US]
    assert found.ranks[2].mostly == ("host", 50 * US)
    assert found.ranks[0].mostly is None
    assert headline(found) == (
        "Rank 2 makes the others wait 50.0 µs per step (29% of it); its extra time is host "
        "(+50.0 µs) (synthetic)."
    )


def test_slow_kernels_are_told_from_a_slow_host(tmp_path: Path) -> None:
    found = only(job(tmp_path, steady([10, 10]), steady([100, 180])))
    assert found.straggler is found.ranks[1]
    assert found.ranks[1].mostly == ("compute", 80 * US)
    assert "its extra time is its own kernels (+80.0 µs)" in headline(found)


def test_the_second_slowest_rank_bounds_what_mending_the_slowest_wins(tmp_path: Path) -> None:
    found = only(job(tmp_path, steady([10, 10, 40, 50]), steady([85] * 4)))
    last = found.ranks[3]
    assert last.made_wait_ns == pytest.approx((40 + 40 + 10) / 3 * US)
    assert last.alone_ns == 10 * US


def test_ranks_that_take_turns_share_the_blame(tmp_path: Path) -> None:
    turns = [[60 if (s + r) % 2 else 10 for s in range(STEPS)] for r in range(2)]
    found = only(job(tmp_path, turns, steady([85, 85])))
    assert [one.last_share for one in found.ranks] == [0.5, 0.5]
    assert [one.made_wait_ns for one in found.ranks] == [25 * US, 25 * US]
    assert [one.wait_ns for one in found.ranks] == [25 * US, 25 * US]


def test_nobody_waits_where_all_come_together(tmp_path: Path) -> None:
    found = only(job(tmp_path, steady([10, 10]), steady([85, 85])))
    assert [one.last_share for one in found.ranks] == [None, None]
    assert found.straggler is None
    assert headline(found).startswith("No rank makes the others wait as much as 1% of a step")


small = st.integers(0, 400)


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), ranks=st.integers(2, 4), steps=st.integers(4, 7))
def test_laws(data, ranks: int, steps: int, tmp_path_factory) -> None:
    """What a rank waits is what the arrivals say; all that is waited is somebody's doing; parts
    sum to the period."""
    grid = st.lists(st.lists(small, min_size=steps, max_size=steps), min_size=ranks, max_size=ranks)
    host = data.draw(grid)
    compute = [[1 + c for c in row] for row in data.draw(grid)]
    paths = job(tmp_path_factory.mktemp("job"), host, compute)
    found = only(paths)
    inner = range(1, steps - 1)
    arrive = [[host[r][s] + LAUNCH + compute[r][s] for s in inner] for r in range(ranks)]
    latest = [max(column) for column in zip(*arrive, strict=True)]
    for r, one in enumerate(found.ranks):
        mine = [late - own for late, own in zip(latest, arrive[r], strict=True)]
        assert one.wait_ns == pytest.approx(sum(mine) * US / len(inner))
        total = one.compute_ns + one.communication_ns + one.idle_ns
        assert total == pytest.approx(one.period_ns)
        assert one.alone_ns <= one.made_wait_ns + 1e-6
    waited = sum(one.wait_ns for one in found.ranks)
    assert waited == pytest.approx(sum(one.made_wait_ns for one in found.ranks) * (ranks - 1))
    shares = [one.last_share for one in found.ranks]
    assert shares == [None] * ranks or sum(shares) == pytest.approx(1)


def test_the_order_of_the_traces_says_nothing(tmp_path: Path) -> None:
    paths = job(tmp_path, steady([10, 30, 60]), steady([85, 85, 85]))
    found = [only(paths), only(paths[::-1])]
    rows = [[(r.rank, r.made_wait_ns, r.wait_ns, r.extra) for r in each.ranks] for each in found]
    assert rows[0] == rows[1]


def test_one_report_of_several_processes(tmp_path: Path) -> None:
    """torchrun under one nsys: ranks in the order of their GPUs."""
    host, compute = steady([10, 60]), steady([85, 85])
    edges = []
    begin = 1000
    for _ in range(STEPS):
        edges.append((begin, [begin + 100, begin + 150], begin + 170))
        begin += 170
    trace = TraceBuilder(producer="builder", origin="synthetic")
    for r in range(2):
        pid = 300 - r  # the order of process ids is another one
        thread = trace.thread(trace.process(pid), pid, "MainThread")
        trace.device(0, name="Test GPU", uuid=f"GPU-{r}", pid=pid)
        write_rank(trace, thread, edges, r, host, compute, "ncclKernel_AllReduce_RING_LL", ())
    trace.write(tmp_path / "all.sqlite")
    found = only([tmp_path / "all.sqlite"])
    assert [(one.rank, one.rank_from) for one in found.ranks] == [(0, "order"), (1, "order")]
    assert [one.member.figures.pid for one in found.ranks] == [300, 299]
    assert found.ranks[1].made_wait_ns == 50 * US
    assert "nothing says which rank is which" in found.notes[0]


def test_a_step_without_the_same_collectives_is_left_out(tmp_path: Path) -> None:
    paths = job(tmp_path, steady([10, 60]), steady([85, 85]), skip=[(1, 5)])
    found = only(paths)
    assert found.steps_left_out == 1
    assert found.ranks[0].steps == STEPS - 3
    assert found.ranks[1].made_wait_ns == 50 * US
    assert any("1 step left out" in note for note in found.notes)


def test_kernels_that_rank_may_leave_early_are_not_compared(tmp_path: Path) -> None:
    paths = job(tmp_path, steady([10, 60]), steady([85, 85]), kernel="ncclDevKernel_Broadcast_RING")
    found = only(paths)
    assert "ran no AllReduce, AllGather or ReduceScatter" in found.reason
    (one,) = rank_steps(analyze(paths[0]))
    assert (one.others, len(one.step)) == (STEPS - 2, 0)


def test_one_rank_alone_and_a_missing_one(tmp_path: Path) -> None:
    paths = job(tmp_path, steady([10, 30, 60]), steady([85, 85, 85]))
    assert "one rank has nobody to wait for it" in only(paths[:1]).reason
    assert any("rank 0 is missing" in note for note in only(paths[1:]).notes)


def test_a_rank_of_any_number_takes_no_memory(tmp_path: Path) -> None:
    paths = job(tmp_path, steady([10, 60]), steady([85, 85]), names=["a.sqlite", "b.sqlite"])
    for path, rank in zip(paths, (2**80, 3), strict=True):
        path.with_suffix(".json").write_text(json.dumps({"manifest_version": 1, "rank": rank}))
    found = only(paths)
    assert [one.rank for one in found.ranks] == [3, 2**80]
    assert any(note.startswith("rank 0, 1, 2, 4, 5, ... is missing") for note in found.notes)


@pytest.mark.parametrize(
    ("names", "jobs"),
    [
        (["a/run-rank0.sqlite", "a/run-rank1.sqlite"], [("run-rank*.sqlite", [0, 1])]),
        (["rank1/t.sqlite", "rank0/t.sqlite"], [("rank*/t.sqlite", [0, 1])]),
        (["x.0.sqlite", "x.1.sqlite"], [("x.*.sqlite", [0, 1])]),
        (["one.sqlite", "two.sqlite"], [("*", [0, 1])]),
    ],
)
def test_ranks_by_file_name_or_order(tmp_path: Path, names: list[str], jobs) -> None:
    paths = job(tmp_path, steady([10, 60]), steady([85, 85]), names=names)
    found = compared(paths)
    assert [[one.rank for one in each.ranks] for each in found] == [ranks for _, ranks in jobs]
    for each, (name, _) in zip(found, jobs, strict=True):
        assert each.name.endswith(name)


def test_runs_of_several_jobs_are_kept_apart(tmp_path: Path) -> None:
    first = job(tmp_path / "a", steady([10, 60]), steady([85, 85]))
    second = job(tmp_path / "b", steady([70, 10]), steady([85, 85]))
    found = compared([*first, *second])
    assert [one.straggler.rank for one in found if one.straggler] == [1, 0]
    assert [one.name for one in found] == ["a/job-rank*.sqlite", "b/job-rank*.sqlite"]


def test_two_traces_of_one_rank_are_not_compared(tmp_path: Path) -> None:
    first = job(tmp_path, steady([10, 60]), steady([85, 85]))
    for path in first:
        manifest = {"manifest_version": 1, "rank": 0}
        path.with_suffix(".json").write_text(json.dumps(manifest))
    assert "2 traces call themselves rank 0" in only(first).reason


def test_a_trace_that_was_given_twice_is_one_rank(inside, tmp_path: Path) -> None:
    paths = job(tmp_path, steady([10, 60]), steady([85, 85]), waits=True)
    names = [path.name for path in paths]
    alone = json.loads(inside("gaps", *names, "--by", "rank", "--json").stdout)
    twice = json.loads(inside("gaps", *names, f"./{names[0]}", "--by", "rank", "--json").stdout)
    assert twice["by_rank"] == alone["by_rank"]
    assert twice["stragglers"] == alone["stragglers"]
    said = " ".join(inside("gaps", names[0], *names).stdout.split())
    assert "Rank 1 makes the others wait" in said


def test_the_manifest_and_the_environment_come_before_the_file_name(tmp_path: Path) -> None:
    paths = job(tmp_path, steady([10, 60]), steady([85, 85]))
    for path, rank in zip(paths, (5, 4), strict=True):
        env = f"HOME=/nowhere\0RANK={rank}\0WORLD_SIZE=8\0SLURM_PROCID=1\0SLURM_NTASKS=2"
        with closing(sqlite3.connect(path)) as database, database:
            database.execute(
                "CREATE TABLE IF NOT EXISTS TARGET_INFO_SYSTEM_ENV (globalVid INTEGER, "
                "devStateName TEXT, name TEXT, nameEnum INTEGER, value TEXT)"
            )
            database.execute(
                "INSERT INTO TARGET_INFO_SYSTEM_ENV VALUES (0, '', 'DeviceEnvironment', 610, ?)",
                (env,),
            )
    assert [(one.rank, one.rank_from) for one in only(paths).ranks] == [(4, "RANK"), (5, "RANK")]
    paths[0].with_suffix(".json").write_text(json.dumps({"manifest_version": 1, "rank": 7}))
    found = only(paths)
    assert [(one.rank, one.rank_from) for one in found.ranks] == [(4, "RANK"), (7, "manifest")]
    assert found.ranks[0].made_wait_ns == 50 * US


@pytest.mark.parametrize(
    ("path", "rank"),
    [
        ("kv-cache-rank12.sqlite", 12), ("r3.nsys-rep", 3), ("Rank_0/x.sqlite", 0),
        ("run.7.sqlite", 7), ("run7.sqlite", None), ("trunk3.sqlite", None),
        ("r2/rank5.json.gz", 5), ("h100-kv.sqlite", None),
    ],
)  # fmt: skip
def test_names(path: str, rank: int | None) -> None:
    assert rank_in_path(path)[0] == rank


def test_what_a_user_sees(inside, tmp_path: Path) -> None:
    job(tmp_path, steady([10, 10, 60]), steady([85, 85, 85]))
    names = [f"job-rank{r}.sqlite" for r in range(3)]
    run = inside("gaps", *names, "--by", "rank")
    assert (run.returncode, run.stderr) == (0, "")
    assert max(map(len, run.stdout.splitlines())) <= 80
    assert "Rank 2 makes the others wait 50.0 µs per step" in run.stdout
    assert "Rank 2 makes the others wait" in inside("gaps", *names).stdout
    assert (
        "Rank 2 makes the others wait"
        in inside("gaps", *names, "--by", "rank", "--format", "md").stdout
    )
    known = json.loads(inside("gaps", *names, "--by", "rank", "--format", "json").stdout)
    (straggler,) = known["stragglers"]
    assert (straggler["straggler"], straggler["made_wait_ns"]) == (2, 50 * US)
    assert (straggler["extra_cause"], straggler["extra_ns"]) == ("host", 50 * US)
    assert [row["rank"] for row in known["by_rank"]] == [0, 1, 2]
    text = inside("gaps", *names, "--by", "rank", "--format", "csv").stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [float(row["made_wait_ns"]) for row in rows] == [0, 0, 50 * US]
    alone = inside("gaps", names[0], "--by", "rank")
    assert "Ranks not compared: one rank has nobody to wait for it" in " ".join(
        alone.stdout.split()
    )


def gains_of(job: dict) -> dict[int, list[float]]:
    """By rank, what its trace says a late rank on time would win, ns."""
    return {
        int(trace["path"].removesuffix(".sqlite")[-1]): [
            rung["gain_ns"]
            for series in trace["gains"]
            for rung in series["rungs"]
            if rung["change"] == "late-rank"
        ]
        for trace in job["traces"]
    }


@pytest.mark.parametrize("options", [(), ("--jobs", "2"), ("--by", "rank")])
def test_what_a_late_rank_on_time_would_win_is_replayed(
    inside, tmp_path: Path, options: tuple[str, ...]
) -> None:
    job(tmp_path, steady([10, 10, 60]), steady([85, 85, 85]), waits=True)
    names = [f"job-rank{r}.sqlite" for r in range(3)]
    done = inside("gaps", *names, *options)
    said = " ".join(done.stdout.split())
    assert "With rank 2 on time, a step takes 50.0 µs less of 170 µs (29%)" in said
    assert "by a replay of rank 0" in said
    found = json.loads(inside("gaps", *names, *options, "--json").stdout)
    # All ranks but the late one would win it; that one has to be mended.
    assert gains_of(found) == {0: [50 * US], 1: [50 * US], 2: []}
    if not options:
        kinds = [trace["answer"]["kind"] for trace in found["traces"]]
        assert kinds == ["straggler", "straggler", "explicit-sync"]
        assert "waits in collectives for rank 2" in found["traces"][0]["answer"]["text"][1]
    if "rank" in options:
        (straggler,) = found["stragglers"]
        assert straggler["on_time"]["gain_ns"] == 50 * US
        assert (straggler["on_time"]["rank"], straggler["on_time"]["error_ns"]) == (0, 0)


@pytest.mark.parametrize("options", [("--by", "cause"), ("--top", "3"), ("--by", "step")])
def test_a_late_rank_is_told_in_every_view(inside, tmp_path: Path, options) -> None:
    job(tmp_path, steady([10, 10, 60]), steady([85, 85, 85]), waits=True)
    names = [f"job-rank{r}.sqlite" for r in range(3)]
    found = json.loads(inside("gaps", *names, *options, "--json").stdout)
    assert gains_of(found) == {0: [50 * US], 1: [50 * US], 2: []}


def test_late_ranks_of_more_jobs_than_are_spoken_of_are_replayed(inside, tmp_path: Path) -> None:
    names = []
    for number in range(5):
        late = steady([10, 30 + 10 * number])
        folder = tmp_path / f"job{number}"
        names += [str(path) for path in job(folder, late, steady([85, 85]), waits=True)]
    found = json.loads(inside("gaps", *names, "--by", "rank", "--json").stdout)
    won = [one["on_time"]["gain_ns"] for one in found["stragglers"]]
    assert won == [(20 + 10 * number) * US for number in range(5)]
    found = json.loads(inside("gaps", *names, "--json").stdout)
    for number in range(5):
        here = [one for one in found["traces"] if f"job{number}/" in one["path"]]
        assert gains_of({"traces": here}) == {0: [won[number]], 1: []}


def test_of_a_late_rank_on_time_only_the_next_is_waited_for(inside, tmp_path: Path) -> None:
    job(tmp_path, steady([10, 10, 40, 50]), steady([85] * 4), waits=True)
    names = [f"job-rank{r}.sqlite" for r in range(4)]
    found = json.loads(inside("gaps", *names, "--by", "rank", "--json").stdout)
    (straggler,) = found["stragglers"]
    assert straggler["straggler"] == 3
    assert (straggler["on_time"]["rank"], straggler["on_time"]["gain_ns"]) == (2, 10 * US)
    assert gains_of(found) == {0: [10 * US], 1: [10 * US], 2: [10 * US], 3: []}


def test_time_waited_beside_other_work_is_not_won(inside, tmp_path: Path) -> None:
    """The host does not wait for the collective, and is what bounds the step: with less to wait for
    the kernels would only start sooner."""
    job(tmp_path, steady([10, 60]), steady([85, 85]))
    names = [f"job-rank{r}.sqlite" for r in range(2)]
    done = inside("gaps", *names)
    assert "Rank 1 makes the others wait 50.0 µs per step" in done.stdout
    found = json.loads(inside("gaps", *names, "--json").stdout)
    assert all(gain < 5 * US for gains in gains_of(found).values() for gain in gains)


def test_the_page_says_it_and_calls_no_rank_faster(inside, tmp_path: Path) -> None:
    job(tmp_path, steady([10, 60]), steady([85, 85]), waits=True)
    names = [f"job-rank{r}.sqlite" for r in range(2)]
    assert inside("report", *names, "-o", "page.html").returncode == 0
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "With rank 1 on time, a step takes 50.0 µs less of 170 µs (29%)" in page
    assert "with rank 1 on time" in page
    assert "No other strategy" not in page


def test_without_gains_a_late_rank_is_named_alone(inside, tmp_path: Path) -> None:
    job(tmp_path, steady([10, 60]), steady([85, 85]), waits=True)
    names = [f"job-rank{r}.sqlite" for r in range(2)]
    done = inside("gaps", *names, "--no-gains")
    assert "Rank 1 makes the others wait" in done.stdout
    assert "on time" not in done.stdout


def test_ranks_that_no_rank_would_be_spared_anything_by(inside, tmp_path: Path) -> None:
    """Two ranks are late alike: neither alone can be mended."""
    job(tmp_path, steady([10, 60, 60]), steady([85] * 3), waits=True)
    names = [f"job-rank{r}.sqlite" for r in range(3)]
    done = inside("gaps", *names, "--by", "rank")
    assert done.returncode == 0
    assert "makes the others wait" in done.stdout
    assert "on time" not in done.stdout


def test_the_main_view_names_only_the_worst_jobs(tmp_path: Path) -> None:
    traces = []
    for number in range(5):
        late = steady([10, 30 + 10 * number])
        traces += job(tmp_path / f"job{number}", late, steady([85, 85]))
    reports = tuple(analyze(path) for path in traces)
    lines = rank_lines(Report(reports))
    assert [line.partition("/")[0] for line in lines[:3]] == ["job4", "job3", "job2"]
    assert lines[3:] == ["2 more jobs have a late rank: --by rank names them."]
    assert len(rank_lines(Report(reports, (), Question(by="rank")))) == 5
    assert rank_lines(Report(reports, (), Question(by="cause"))) == []


@pytest.mark.parametrize("steps", [1, 2])
def test_ranks_of_one_or_two_steps_are_compared_and_none_is_named(
    tmp_path: Path, steps: int
) -> None:
    paths = job(tmp_path, [[10] * steps, [60] * steps], [[85] * steps] * 2)
    found = only(paths)
    assert [one.steps for one in found.ranks] == [steps, steps]
    assert [one.wait_ns for one in found.ranks] == [50 * US, 0]
    assert found.straggler is None
    report = Report(tuple(analyze(path) for path in paths), (), Question(by="rank"))
    lines = rank_lines(report)
    assert [line for line in lines if "too few to call a rank late" in line] == lines
    assert rank_lines(Report(report.traces, (), Question())) == []


def test_ranks_without_steps_are_not_said_to_run_no_communication(tmp_path: Path) -> None:
    paths = job(tmp_path, steady([10, 60]), steady([85, 85]))
    question = Question(by="rank", patterns=(StepPattern.glob("nothing"),))
    reports = tuple(analyze(path, question) for path in paths)
    (line,) = rank_lines(Report(reports, (), question))
    assert line.startswith("Ranks not compared: there are communication kernels, and no steps")
