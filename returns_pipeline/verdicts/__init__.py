"""What a return's photos say about its expected category: fusing, thresholds, verdicts. Pure functions."""
