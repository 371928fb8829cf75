"""Traces in Nsight Systems' own SQLite schema."""
