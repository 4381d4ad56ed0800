"""Text, charts and thumbnails as pages show them."""
