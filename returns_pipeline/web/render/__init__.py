"""Charts and thumbnails for pages."""
