"""Readings and reports made visible."""
