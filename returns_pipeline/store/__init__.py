"""The database: its tables, and functions of one transaction each. Only this package uses SQLAlchemy."""
