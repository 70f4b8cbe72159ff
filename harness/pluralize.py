"""A count with its noun, in every message and report."""


def pluralize(value: int, noun: str, *, plural: str = "") -> str:
    """`1 pair`, `1,000 pairs`; `plural` where it is not the noun with an s."""
    return f"{value:,} {noun}" if value == 1 else f"{value:,} {plural or f'{noun}s'}"
