"""Bundles: everything a server needs to rank, in one folder, read and written."""

__all__ = ["bundle", "manifest", "versions", "write"]
