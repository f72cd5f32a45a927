"""A page in HTML with all that is known of a classifier: what it tells and how it looks."""
