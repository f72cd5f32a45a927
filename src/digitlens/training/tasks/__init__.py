"""The training task of each kind of network."""
