"""Labels: grades of impressions, the time-forward split, labelled slates."""
