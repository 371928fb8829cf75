"""From a file to a `Trace`: one folder a format, and the rules that rows must meet."""
