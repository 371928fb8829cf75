"""Traces of several ranks: collectives, and who makes the others wait."""
