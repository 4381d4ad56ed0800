"""Embedding spaces: pictures to vectors that can be compared."""
