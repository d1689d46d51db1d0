"""Labels: grades of impressions, the time-forward split, labelled slates."""

__all__ = ["grades", "slates", "split", "supply"]
