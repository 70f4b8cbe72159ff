"""Checks for what would invalidate a training's outcome, before it costs anything; each is a measurement."""
