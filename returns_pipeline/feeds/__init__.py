"""Feeds: files that list the addresses of photos. Reading them, and fetching one photo."""
