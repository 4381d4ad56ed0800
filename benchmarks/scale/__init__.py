"""How long each step takes among ten million photos, and how many bytes a photo has in each table."""
