"""The ranking service on Ray Serve, and the `recsys` command."""

__all__ = ["app", "client", "commands", "settings"]
