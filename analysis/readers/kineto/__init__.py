"""torch.profiler's JSON."""
