"""Copies of a recording without secrets."""
