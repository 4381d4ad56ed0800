"""How often is a model right, and is a night as usual? Pure arithmetic."""
