"""The networks that recipes train: backbones, heads, and small CNNs."""
