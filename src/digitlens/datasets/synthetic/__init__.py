"""Lines and pages of text, drawn from a seed."""
