"""Suites: what models are asked, and how their answers are scored."""
