"""The bare timeline: what a recording would show had nobody recorded it.

`host` lays out the time of the threads that call, `work` what keeps each operation from starting
earlier, `play` runs both with a recorder's `costs` taken out, and `take_out` writes the times that
result into the trace. `prior` knows what recorders cost, `blocks` what a recording measured beside
itself, and `proof` fits the one to the other and says whether the result holds.
"""
