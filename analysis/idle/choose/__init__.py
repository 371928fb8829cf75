"""Which ranges are the steps, where nobody said it."""
