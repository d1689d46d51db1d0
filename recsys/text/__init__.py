"""Interest match: what a user's history says about the text of an item."""
