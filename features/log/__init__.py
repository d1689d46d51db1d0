"""The log as arrays: `log.open_log` opens one, `events` and `requests` are its rows."""

__all__ = [
    "attribution",
    "catalogue",
    "catalogue_files",
    "end",
    "events",
    "history",
    "item_columns",
    "log",
    "requests",
    "tables",
]
