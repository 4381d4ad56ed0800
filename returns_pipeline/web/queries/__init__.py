"""Queries that pages and the REST interface share, so that neither imports the other."""
