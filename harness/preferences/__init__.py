"""Preferences: what judges and humans said about pairs of answers, and what that comes to."""
