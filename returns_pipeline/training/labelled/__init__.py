"""Labelled images: folders of photos and public data sets; checked, divided, decoded and varied."""
