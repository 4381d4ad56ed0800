"""The pages in a real browser, over real workers."""
