"""Evaluation: of bundles on the test period, of launched items, of encoder backends."""
