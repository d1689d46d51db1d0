"""Vocabulary of the simulated shop and the texts drawn from it."""
