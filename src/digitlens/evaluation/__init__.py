"""Evaluation of classifiers, independent of what runs them."""
