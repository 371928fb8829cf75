"""Named strategies, a few to a file; each file registers its own when it is imported."""

MODULES = (
    "bounds", "caching", "compiled", "deferred", "device_loop", "graphs", "hf", "pipelined",
)  # fmt: skip
"""The files that register strategies: a new one is one more name here."""
