"""Which lines of the readers the mutants reach, by coverage.py, on a sample of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from coverage import Coverage

ROOT = Path(__file__).resolve().parent.parent.parent
_PATTERNS = ("analysis/readers/**/*.py", "analysis/verdicts/calibration.py", "harness/manifest.py")
WATCHED = sorted(
    str(path.relative_to(ROOT)) for pattern in _PATTERNS for path in ROOT.glob(pattern)
)
EVERY = 250


def _new() -> Coverage:
    return Coverage(data_file=None, include=[str(ROOT / name) for name in WATCHED])


class Lines:
    """Collects the lines that a sample of the mutants reaches."""

    def __init__(self) -> None:
        self._coverage = _new()

    @contextmanager
    def of(self, seed: int) -> Iterator[None]:
        """Watch what is done for this seed, where it is one of the sample."""
        if seed // 7 % EVERY:  # the workers take turns by seed: not a multiple of their number
            yield
            return
        self._coverage.start()
        try:
            yield
        finally:
            self._coverage.stop()

    def taken(self) -> dict[str, set[int]]:
        """File to lines reached since the start."""
        data = self._coverage.get_data()
        return {name: set(data.lines(name) or ()) for name in data.measured_files()}

    @staticmethod
    def share(lines: dict[str, set[int]]) -> dict[str, tuple[int, int]]:
        """File to (lines reached, lines that could be)."""
        coverage, found = _new(), {}
        for name in WATCHED:
            _, statements, _, _ = coverage.analysis(str(ROOT / name))
            reached = lines.get(str(ROOT / name), set()) & set(statements)
            found[name] = len(reached), len(statements)
        return found
