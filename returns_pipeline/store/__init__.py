"""The database is the truth: tables, and functions that are one transaction each. SQLAlchemy stays in here."""
