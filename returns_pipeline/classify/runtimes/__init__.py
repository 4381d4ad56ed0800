"""Programs that run a bundle's model, behind one registry."""
