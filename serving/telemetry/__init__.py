"""What the service records: log lines, metrics, served features."""
