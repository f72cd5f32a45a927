"""Serves the reader: an HTTP API, and a web page for drawings, uploads and photos."""
