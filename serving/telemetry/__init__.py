"""Telemetry: log lines, metrics, and the features of answered requests."""

__all__ = ["metrics", "served_features"]
