"""Tiles of what is no digit: to train a network that says so, and to measure whether it does."""
