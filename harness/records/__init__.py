"""The nouns, on four screens, with the standard library only.

All are frozen, so that they cannot change under their holder. Mappings inside them hold JSON values and are
treated as read-only.
"""
