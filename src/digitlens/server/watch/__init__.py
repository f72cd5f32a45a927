"""The page that shows a training while it goes on."""
