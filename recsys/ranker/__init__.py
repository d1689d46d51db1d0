"""The LightGBM ranker: training, fast scoring, calibration."""
