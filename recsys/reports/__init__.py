"""What people read: tables, plots and pages, made from results."""
