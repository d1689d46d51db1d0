"""Data contracts: tables, requests and answers, errors, and files written whole."""

__all__ = [
    "array_file",
    "errors",
    "events",
    "export",
    "items",
    "names",
    "progress",
    "reading",
    "served",
    "slates",
    "storage",
]
