"""Serves the reader: an HTTP API, and a page to draw, upload and photograph on."""
