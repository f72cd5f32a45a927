"""Tiles made worse on purpose, to measure how much a classifier minds; never trained on."""
