"""The LightGBM ranker: training, fast scoring, calibration."""

__all__ = ["calibration", "codes", "ranker", "settings"]
