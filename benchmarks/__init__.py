"""Benchmarks: speed as ratios within one run, and what text is worth. `make bench` runs them."""
