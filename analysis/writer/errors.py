"""Why the trace writer refuses what it was given."""

from __future__ import annotations

from ..model.errors import TraceError


class NotInSchema(TraceError):
    """A table or a column is not part of the schema.

    `analysis/writer/ddl.sql` has all of them.
    """

    code = "not-in-schema"


class BadColumn(TraceError):
    """A column has another length or type than its table needs.

    Columns are arrays of one length, or single values, which stand for all rows. Times and
    identities are 64-bit integers.
    """

    code = "bad-column"


class BadMetadata(TraceError):
    """The origin or another fact about the trace cannot be written.

    The origin is `measured`, `simulated` or `synthetic`: what was made up has to say so. Names that
    the writer itself writes are taken.
    """

    code = "bad-metadata"


class BadId(TraceError):
    """A process or a thread is not registered, or its number is too large.

    Rows take the ids that `process()` and `thread()` return. A global id has 24 bits for each
    number, so they go from 0 to 16777215.
    """

    code = "bad-id"


class InvalidTimes(TraceError):
    """A row has times that cannot be.

    Times are nanoseconds from 0 to 2**60, and a row ends no earlier than it starts.
    """

    code = "invalid-times"
    remedy = "pass allow_invalid=True to the builder to write such a row"
