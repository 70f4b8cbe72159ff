"""What would invalidate a training's outcome, found before it costs anything: each check is a measurement."""
