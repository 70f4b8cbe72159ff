"""Other evaluation frameworks, driven by our engine."""
