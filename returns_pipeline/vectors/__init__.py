"""Vectors of pictures: which are nearest, exactly or by an index, and how well neighbours agree."""
