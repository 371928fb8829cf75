"""One module per output format; each registers a reporter."""

MODULES = ("csv", "html", "json", "md", "table")
"""The files that hold a reporter: a new one is one more name here."""
