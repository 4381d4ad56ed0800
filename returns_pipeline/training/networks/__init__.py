"""Networks: backbones, heads and small CNNs, each with its preprocessing as the first layer."""
