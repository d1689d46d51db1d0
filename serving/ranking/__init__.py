"""One ranking call: `service.RankingService` answers it, `deadline` bounds it."""
