"""The records that all other packages exchange: models, answers, preferences and comparisons.

They are frozen dataclasses, and need the standard library only. Mappings inside them hold JSON values and are
treated as read-only.
"""
