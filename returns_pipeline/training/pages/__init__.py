"""The report of a training or an evaluation: plots, photos, numbers, one HTML page."""
