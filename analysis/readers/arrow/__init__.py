"""Folders of Parquet or Arrow tables, and Arrow files."""
