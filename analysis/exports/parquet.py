"""Parquet: one row a gap or a step, with types, for pandas and its kin."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from importlib.util import find_spec

from ..model.errors import PackageMissing
from ..report import TraceReport
from .base import Exporter
from .errors import NothingToExport
from .frames import gaps_frame, steps_frame


def chunks(reports: Sequence[TraceReport], rows: str) -> Iterator[bytes]:
    """The file. Raises TraceError where pyarrow is not installed."""
    import pandas as pd

    if find_spec("pyarrow") is None:
        raise PackageMissing(
            "Parquet needs the pyarrow package, which is not installed",
            remedy="pip install 'nsys-harness[parquet]', or use --to csv",
        )
    make = gaps_frame if rows == "gaps" else steps_frame
    frames = [frame for report in reports if len((frame := make(report)).columns)]
    if not frames:
        raise NothingToExport(f"there are no {rows} to export")
    # Categories of several traces differ: as plain strings they join.
    joined = pd.concat(
        [f.astype({c: "str" for c in f.columns if f[c].dtype == "category"}) for f in frames],
        ignore_index=True,
    )
    file = io.BytesIO()
    joined.to_parquet(file, index=False, engine="pyarrow", compression="zstd")
    yield file.getvalue()


EXPORTER = Exporter("parquet", (".parquet",), "gaps or steps as Parquet", True, False, chunks)
