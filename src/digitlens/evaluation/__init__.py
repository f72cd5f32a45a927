"""How good a classifier is, measured the same way whatever it runs on."""
