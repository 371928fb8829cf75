"""Which steps a trace has where nobody names them."""
