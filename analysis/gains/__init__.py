"""What each change would win: a recorded loop as a program, replayed on virtual clocks.

`recorded` turns a trace into a program, `whatifs` change it, `machine` plays it, and `figures` sees
it as `harness gaps` would. `gpu` reads the files in `gpus/`: one file describes a GPU with its
host, for a replay and for the simulated GPU alike, so that a user has one file to write.
"""
