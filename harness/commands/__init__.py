"""One module per command; each defines `command`, a click.Command."""

MODULES = (
    "bench", "cache", "calibrate", "compare", "doctor", "explain", "export", "gaps", "open",
    "predict", "profile", "report", "results", "scrub", "show", "strategies",
)  # fmt: skip
"""The commands by file, sorted: a new one is one more name here."""
