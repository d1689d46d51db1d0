"""Everything a server needs, in one folder: read, write, promote."""
