"""Kinds of feature, one module a family; each kind is a class that reads as its definition."""
