"""Metrics per request (`ranking`), of probabilities, their means and intervals over users."""

__all__ = ["calibration", "intervals", "ranking", "weights"]
