"""Digits of other data sets than MNIST, in the files their authors publish, brought to tiles."""
