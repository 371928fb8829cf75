"""The measuring process, seen from the parent."""

from __future__ import annotations

import subprocess
import sys
import tempfile

import pytest

from harness.bench.errors import VisitFailed
from harness.bench.pool import Worker


def test_a_process_that_dies_amid_an_answer_costs_its_cell() -> None:
    worker = Worker.__new__(Worker)
    worker._said = tempfile.TemporaryFile()  # noqa: SIM115
    worker._process = subprocess.Popen(
        [sys.executable, "-c", """import os; os.write(1, b'{"event": "vis'); os._exit(3)"""],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with pytest.raises(VisitFailed, match="the measuring process ended with code 3"):
        worker._answer("visit")
