"""Why no scrubbed copy was written."""

from __future__ import annotations

from ..errors import HarnessError


class ManifestNotScrubbed(HarnessError):
    """The manifest beside the trace cannot be read, and may hold what is to be removed."""

    code = "manifest-not-scrubbed"
    remedy = "move it away"


class StillInTheCopy(HarnessError):
    """Values that were to be removed stand in what is kept.

    The copy is searched before it is written, and this one failed. A value may also be an innocent
    word of a kernel's name; if it is not, please report it.
    """

    code = "still-in-the-copy"
    remedy = (
        "rename what holds them and record again; or, where they give nothing away, --allow NAME"
    )
