MODULES = ("nsys.backend", "cupti.backend", "sim", "null")
"""The modules that register a backend: a new one is one more name here."""
