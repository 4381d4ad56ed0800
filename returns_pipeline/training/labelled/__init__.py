"""Labelled data: folders of photos and public data sets, checked, split and varied."""
