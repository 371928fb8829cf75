"""The analysis of a stored trace a chunk of operations at a time, with the figures of the whole.

`steps` finds the steps and what they launched, `walk` the gaps and their causes, `totals` adds up,
`analyze` makes the report. Promise: any chunking gives the same figures to the nanosecond.
"""
