"""Preferences: what judges and humans chose between pairs of answers, and the analysis of it."""
