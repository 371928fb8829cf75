"""Quantiles, bootstrap intervals, permutation tests and the t distribution."""
