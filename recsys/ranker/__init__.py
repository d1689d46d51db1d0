"""The LightGBM ranker: training, fast scoring, calibration."""

__all__ = ["calibration", "ranker", "settings"]
