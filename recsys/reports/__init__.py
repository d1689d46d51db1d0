"""Reports: results as tables, plots and HTML pages."""
