"""Frozen values that pass between the layers, a module for each subject.

No database row and no untyped dict crosses a boundary. A value that exists once for every image is a
NamedTuple with its path as a string: a frozen dataclass and a Path each cost several microseconds to make,
which is more than SQLite needs for the row.
"""
