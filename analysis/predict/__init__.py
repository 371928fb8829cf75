"""`harness predict --from`: a recorded loop as a program, played action by action.

`recorded` turns a trace into a program, `whatifs` change it, `play` says what then happens, as rows
that can be written as a trace, and `figures` sees them as `harness gaps` would. `gains` plays the
same loop by arrays where no rows are wanted.
"""
