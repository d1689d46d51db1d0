"""Metrics per request (`ranking`), of probabilities, and their intervals over users."""

__all__ = ["calibration", "intervals", "ranking"]
