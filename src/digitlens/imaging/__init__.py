"""Decoding pictures to arrays, and cropping and framing lines, digits and tables."""
