"""CSV: one header, then one row a gap or a step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..report import TraceReport
from ..reports.csv import text_cell
from .base import Exporter
from .frames import gaps_frame, steps_frame

if TYPE_CHECKING:
    import pandas as pd

_AT_ONCE = 50_000


def chunks(reports: Sequence[TraceReport], rows: str) -> Iterator[bytes]:
    """The file in pieces. Missing values are empty; names are those of `harness gaps`' CSV."""
    header = True
    for report in reports:
        frame = _printable(gaps_frame(report) if rows == "gaps" else steps_frame(report))
        for start in range(0, len(frame), _AT_ONCE):
            text = frame.iloc[start : start + _AT_ONCE].to_csv(
                index=False, header=header, lineterminator="\n"
            )
            header = False
            yield text.encode("utf-8")


def _printable(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with texts that a terminal and a spreadsheet may see; all texts are categories."""
    safe = {}
    for name in frame.columns:
        if frame[name].dtype == "category":
            column = frame[name].cat
            texts = np.array([text_cell(str(text)) for text in column.categories], object)
            safe[name] = texts[column.codes]
    return frame.assign(**safe)


EXPORTER = Exporter("csv", (".csv",), "gaps or steps as CSV", True, True, chunks)
