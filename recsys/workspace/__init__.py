"""A workspace: `recsys.toml`, its tables, its features, and checks of all of them."""
