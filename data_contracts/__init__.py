"""Data contracts: tables, requests and answers, errors, and files written whole."""
