"""A trace as a folder of column files: what one reading found, kept for the next look.

`layout` says which columns, `folder` writes and opens them, `save` fills them from a `Trace`,
`build` from an SQLite file within a stated budget of memory. `chunks` analyses what is stored.
"""
