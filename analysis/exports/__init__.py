"""Traces and figures in other programs' formats: one module each, found by name."""

MODULES = ("csv", "parquet", "perfetto")
"""The files that hold an exporter: a new one is one more name here."""
