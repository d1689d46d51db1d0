"""Public data sets turned into workspaces, with a report of what was read, kept and set aside."""
