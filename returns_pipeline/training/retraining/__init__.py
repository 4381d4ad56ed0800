"""Retraining: a new version of a model from its old training data and the photos that people reviewed."""
