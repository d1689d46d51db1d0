"""A workspace: `recsys.toml`, its tables, its features, and checks of all of them."""

__all__ = [
    "backfill",
    "checks",
    "config",
    "facts",
    "feature_sets",
    "findings",
    "fitness",
    "propose",
    "shortages",
    "validate",
    "workspace",
]
