"""A photo's bytes to pixels.

`bytes_to_pixels` decodes one photo; `batches` reads and decodes the photos of a chunk.
"""
