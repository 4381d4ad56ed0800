"""The database is the truth: tables, and functions of one transaction each. SQLAlchemy stays in here."""
