"""A photo as a file: found in an intake, grouped in chunks, decoded to pixels, moved to the archive."""
