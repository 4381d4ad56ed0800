"""Whether two photos show one picture: thumbnails, keys for an index, and the comparison that decides."""
