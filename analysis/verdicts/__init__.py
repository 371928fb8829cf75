"""Whether the figures of a trace may be believed."""
