"""Starting Ray, HAProxy and jobs, and taking them down."""
