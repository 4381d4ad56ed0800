"""The pipeline measured beside what it replaces and its nearest peer. `make bench` runs it."""
