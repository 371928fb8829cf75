"""Ready-made plans, one file each: a module with `PRESET`."""

MODULES = ("article",)
"""The plans by file: a new one is one more name here."""
