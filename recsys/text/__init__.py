"""Interest match: what a user's history says about the text of an item."""

__all__ = [
    "attribution",
    "encoder",
    "head",
    "interest",
    "keys",
    "settings",
    "signals",
    "template",
    "training",
    "vectors",
]
