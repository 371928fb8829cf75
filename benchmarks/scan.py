"""Read the columns that `harness gaps` reads, through the same driver, and do nothing with them.

    python benchmarks/scan.py TRACE

The floor for any analysis of the same file in one process.
"""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import adbc_driver_manager
import adbc_driver_sqlite

from harness.analysis.readers.sqlite.arrow_stream import batches

QUERIES = {
    "CUPTI_ACTIVITY_KIND_KERNEL": "start, end, deviceId, streamId, correlationId, globalPid, "
    "shortName",
    "CUPTI_ACTIVITY_KIND_MEMCPY": "start, end, deviceId, streamId, correlationId, globalPid, "
    "copyKind, bytes, srcDeviceId, dstDeviceId",
    "CUPTI_ACTIVITY_KIND_RUNTIME": "start, end, globalTid, correlationId, nameId, returnValue",
    "CUPTI_ACTIVITY_KIND_SYNCHRONIZATION": "start, end, streamId, correlationId, globalPid, "
    "syncType",
    "NVTX_EVENTS": "start, end, eventType, globalTid, endGlobalTid, domainId, textId, "
    "CAST(COALESCE(text, '') AS TEXT)",
    "StringIds": "id, value",
}


def main(path: str) -> None:
    rows = 0
    uri = f"{Path(path).absolute().as_uri()}?mode=ro&immutable=1"
    with closing(sqlite3.connect(uri, uri=True)) as database:
        here = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
    with (
        adbc_driver_sqlite.connect(uri) as driver,
        adbc_driver_manager.AdbcConnection(driver) as connection,
    ):
        for table in here.intersection(QUERIES):
            with adbc_driver_manager.AdbcStatement(connection) as statement:
                statement.set_options(**{"adbc.sqlite.query.batch_rows": "65536"})
                statement.set_sql_query(f"SELECT {QUERIES[table]} FROM {table}")
                handle, _ = statement.execute_query()
                rows += sum(columns[0].length for columns in batches(handle.address))
    print(rows)


if __name__ == "__main__":
    main(sys.argv[1])
