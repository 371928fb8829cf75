"""What all other rooms work on: a trace as typed columns, intervals, names, errors."""
