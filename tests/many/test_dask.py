"""`--dask` against a real scheduler and two real worker processes on this machine."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ..conftest import ROOT

distributed = pytest.importorskip("distributed", reason="the extra `dask` is not installed")

QUIET = {"DASK_DISTRIBUTED__LOGGING__DISTRIBUTED": "error"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Cluster:
    address: str
    folder: Path
    processes: list[subprocess.Popen[bytes]]

    def start(self, *args: str, **env: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *args],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), **QUIET, **env},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.processes.append(process)
        return process

    def worker(self, name: str, **env: str) -> subprocess.Popen[bytes]:
        options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--name", name)
        return self.start(
            "worker", self.address, *options, "--local-directory", str(self.folder), **env
        )

    def wait_for(self, count: int) -> None:
        with distributed.Client(self.address, timeout=60, set_as_default=False) as client:
            deadline = time.monotonic() + 60
            while len(client.scheduler_info(n_workers=-1)["workers"]) != count:
                assert time.monotonic() < deadline, f"there are not {count} workers"
                time.sleep(0.1)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    port = free_port()
    running = Cluster(f"tcp://127.0.0.1:{port}", tmp_path_factory.mktemp("dask"), [])
    try:
        running.start("scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
        for name in ("one", "two"):
            running.worker(name)
        running.wait_for(2)
        yield running
    finally:
        for process in running.processes:
            process.kill()
            process.wait()


def test_the_same_bytes_as_without(harness, cluster: Cluster, links: Callable, tmp_path) -> None:
    names = links(4)
    (tmp_path / "broken.sqlite").write_text("not a trace")
    args = ("gaps", *names, "broken.sqlite", "--format", "json", "--by", "cause", "--top", "2")
    here, there = harness(*args), harness(*args, "--dask", cluster.address)
    assert (there.returncode, there.stdout, there.stderr) == (1, here.stdout, here.stderr)
    assert len(json.loads(there.stdout)["traces"]) == 4


def test_a_file_that_a_worker_does_not_see(harness, cluster: Cluster) -> None:
    run = harness("gaps", "elsewhere.sqlite", "--dask", cluster.address)
    assert run.returncode == 1
    assert "elsewhere.sqlite is not on worker " in run.stderr
    assert "put the traces where all workers see them under the same path" in run.stderr


def test_another_version_on_a_worker_is_refused(harness, cluster: Cluster, links, tmp_path) -> None:
    (tmp_path / "old" / "harness").mkdir(parents=True)
    (tmp_path / "old" / "harness" / "__init__.py").write_text("__version__ = '0.0.1'\n")
    old = cluster.worker("old", PYTHONPATH=str(tmp_path / "old"))
    cluster.wait_for(3)
    run = harness("gaps", *links(1), "--dask", cluster.address)
    old.kill()
    old.wait()
    cluster.wait_for(2)
    assert (run.returncode, run.stdout) == (1, "")
    (line,) = run.stderr.splitlines()
    assert "has nsys-harness 0.0.1, this is " in line
    assert "install the same version for all workers" in line


def test_a_worker_killed_half_way_costs_nothing_but_time(
    harness, cluster: Cluster, links: Callable, tmp_path: Path
) -> None:
    names = links(20)
    args = ("gaps", *names, "--by", "strategy", "--format", "csv")
    here = harness(*args, "--jobs", "1")
    process = subprocess.Popen(
        [sys.executable, "-m", "harness", *args, "--dask", cluster.address],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with distributed.Client(cluster.address, timeout=60, set_as_default=False) as client:
        deadline = time.monotonic() + 60
        while True:
            assert time.monotonic() < deadline
            assert process.poll() is None
            busy = {worker for worker, keys in client.processing().items() if keys}
            if len(busy) == 2:
                break
            time.sleep(0.01)
    victim = cluster.processes[1]
    victim.kill()
    victim.wait()
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert out == here.stdout
    cluster.wait_for(1)


def test_no_scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.errors import HarnessError
    from harness.run import dask_cluster

    monkeypatch.setattr(dask_cluster, "WAIT_S", 1)
    with pytest.raises(HarnessError, match="no Dask scheduler answers at tcp://127") as found:
        next(dask_cluster.on_cluster(f"tcp://127.0.0.1:{free_port()}", []))
    assert "\n" not in str(found.value)
    with pytest.raises(HarnessError, match="no Dask scheduler answers at nonsense"):
        next(dask_cluster.on_cluster("nonsense://x", []))


def test_a_trace_that_kills_every_worker_is_named() -> None:
    from harness.run.dask_cluster import _outcome

    class Killed:
        def result(self) -> None:
            raise distributed.scheduler.KilledWorker("task", None, 3)

    failure = _outcome(Killed(), "a.sqlite", distributed)
    assert "a.sqlite: 4 Dask workers died one after another" in failure.error


def test_without_the_extra(harness, tmp_path: Path) -> None:
    (tmp_path / "shadow").mkdir()
    (tmp_path / "shadow" / "distributed.py").write_text("raise ImportError('not installed')\n")
    run = harness("gaps", "a.sqlite", "--dask", "tcp://x:1", PYTHONPATH=str(tmp_path / "shadow"))
    assert run.returncode == 1
    assert "pip install 'nsys-harness[dask]'" in run.stderr
