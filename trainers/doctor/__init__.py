"""What would make a training's outcome false, found before it costs anything: each check is a measurement."""
