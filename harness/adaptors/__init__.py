"""Foreign evaluation frameworks, driven by our engine."""
