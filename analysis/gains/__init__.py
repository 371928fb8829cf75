"""What each change would win: stretches of a recorded loop, replayed with each change at once.

`stretch` cuts steady steps out of a trace, `loop` reads them as arrays, `changes` say what could
be changed of them, `batch` plays them all, and `ladder` ranks what they win. `machine` is the rules
that a replay goes by, and `gpu` reads the files in `gpus/`: one file describes a GPU with its host,
for a replay and for the simulated GPU alike, so that a user has one file to write.
"""
