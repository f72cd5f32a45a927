"""From a page to the digits on it."""
