"""Starting Ray, HAProxy and jobs, and taking them down."""

__all__ = ["haproxy", "run"]
