"""The network, the bundle it is saved as, and the classifier that runs it."""
