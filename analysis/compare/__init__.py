"""Whether one set of runs is faster or slower than another."""
