"""One ranking call: `service.RankingService` answers it, `deadline` bounds it."""

__all__ = ["loading", "model", "service"]
