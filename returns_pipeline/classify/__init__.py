"""Pixels to predictions: bundles, the runtimes that load them, and the checks before one may classify."""
