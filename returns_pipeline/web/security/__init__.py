"""Who asks, what they may do, and what bodies and headers are refused."""
