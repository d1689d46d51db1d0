"""The log as arrays: `log.open_log` opens one, `events` and `requests` are its rows."""

__all__ = ["catalogue", "end", "events", "history", "log", "requests", "tables"]
