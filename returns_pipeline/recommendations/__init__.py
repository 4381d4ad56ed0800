"""Which products are recommended: score, diversity, customers' taste, and how good it is. Pure functions."""
