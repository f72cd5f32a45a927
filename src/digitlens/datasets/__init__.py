"""Data sets and generators of pictures, for training and measuring networks."""
