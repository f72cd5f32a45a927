"""Pictures as arrays: what is cut out of them and how it is framed."""
