"""Generated pages: pictures with digits, letters and clutter, and exactly where each digit is."""
