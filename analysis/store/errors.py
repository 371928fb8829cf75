"""Why columns and figures that were kept in the cache are not used."""

from __future__ import annotations

from ..model.errors import TraceError


class StoreError(TraceError):
    """Something kept in the cache cannot be believed.

    It is built again. The line is seen only if somebody changes the cache during a look: look
    again, and use `harness cache clear` if it comes back.
    """

    code = "cache-damaged"
