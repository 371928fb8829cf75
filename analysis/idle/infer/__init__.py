"""Steps of a trace without step ranges, from launches that repeat."""
