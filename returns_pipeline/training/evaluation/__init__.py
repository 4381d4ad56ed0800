"""Evaluation: how good a model is, how sure, and whether it is better than another."""
