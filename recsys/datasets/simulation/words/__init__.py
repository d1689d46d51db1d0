"""The words of the simulated catalogue."""
