"""Features of photos from frozen networks: computed once, on all cores, and kept on disk."""
