"""The version of this tool, where no import of it brings anything else along."""

__version__ = "0.1.0"
