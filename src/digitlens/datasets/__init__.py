"""What networks are trained and measured with."""
