"""The ranking service on Ray Serve, and the `recsys` command."""
