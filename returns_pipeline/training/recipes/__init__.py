"""Recipes: from labelled photos to a published bundle."""
