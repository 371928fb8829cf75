"""A GPU made of clocks: what one would have done, computed instead of measured.

Nothing in here imports torch except `dispatch`, `forward`, `grid` and `run`.
"""
