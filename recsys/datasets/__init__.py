"""Public data sets turned into workspaces, with an account of the rows read, kept and set aside."""
