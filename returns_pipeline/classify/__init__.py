"""Pixels to predictions: bundles, the runtimes that load them, and whether one may classify at night."""
