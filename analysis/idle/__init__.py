"""The engine: steps, gaps, causes, and the figures that are summed from them."""
