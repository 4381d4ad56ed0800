"""How good a model is: its metrics, its predictions for labelled photos, and the comparison of two models."""
