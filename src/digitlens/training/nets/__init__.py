"""Architectures, as torch modules."""
