"""Plots by topic; ``registry`` lists them by name."""
