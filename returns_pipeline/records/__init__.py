"""Frozen values that pass between the layers, a module for each subject.

No database row and no untyped dict crosses a boundary. A value that exists for every image is a NamedTuple
with its path as a string: creating a frozen dataclass or a Path takes several microseconds, more than
SQLite needs for the row.
"""
