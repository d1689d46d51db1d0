"""Attribution: which impression led to an interaction, decided once, in both executors."""

__all__ = ["index", "log", "loops"]
