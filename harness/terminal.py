"""The terminal that a command prints to."""

from __future__ import annotations

import os
import shutil
import sys

from .analysis.reports.base import Terminal

MIN_WIDTH = 40
"""Columns below which no table can be drawn."""


def terminal(*, to_file: bool) -> Terminal:
    """Width and colour of stdout; 80 columns without colour where it is no terminal."""
    if to_file or not sys.stdout.isatty():
        columns = os.environ.get("COLUMNS", "")
        known = columns.isdecimal() and not to_file and 0 < len(columns) < 6
        return Terminal(max(int(columns), MIN_WIDTH) if known else 80, color=False)
    color = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return Terminal(max(shutil.get_terminal_size((80, 24)).columns, MIN_WIDTH), color)
