"""What each kind of network learns."""
