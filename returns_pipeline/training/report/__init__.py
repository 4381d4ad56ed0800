"""The report of a training or an evaluation: plots, photos, numbers, and one HTML page."""
