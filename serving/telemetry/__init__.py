"""Telemetry: log lines, metrics, and the features of answered requests."""
