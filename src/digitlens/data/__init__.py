"""MNIST, safe image decoding and the one way from pixels to tiles."""
