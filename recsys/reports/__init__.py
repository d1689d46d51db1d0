"""Reports: results as tables, plots and HTML pages."""

__all__ = ["evaluation", "explanation", "features", "quality"]
