"""Alembic's environment and the numbered revisions, forwards and back."""
