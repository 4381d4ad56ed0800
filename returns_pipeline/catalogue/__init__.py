"""The catalogue's files: which column is what, how values are written, and where pictures lie."""
