"""Judges: models that say which of two answers is better, and reward models that rate each."""
