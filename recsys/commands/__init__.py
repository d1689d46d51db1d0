"""The commands of this layer, put together in `app`."""

__all__ = ["app", "console"]
