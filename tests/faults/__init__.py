"""Faults that really happen to a queue at night, done to real processes."""
