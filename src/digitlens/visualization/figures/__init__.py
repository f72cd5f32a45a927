"""Plots, by topic; ``registry`` has them by name."""
