"""The console command `recsys` (`cli`), and `recsys demo`."""

__all__ = ["cli"]
