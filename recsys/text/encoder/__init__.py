"""Encoders: what turns a text into a vector, on whatever runs fastest here."""
