"""The log as arrays: `log.open_log` opens one, `events` and `requests` are its rows."""
