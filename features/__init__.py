"""Behavioural features: declared once, computed in batch over a log and online for a request."""
