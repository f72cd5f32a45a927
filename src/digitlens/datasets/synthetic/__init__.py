"""Generators of lines and pages of text, reproducible from a seed."""
