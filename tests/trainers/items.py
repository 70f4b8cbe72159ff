"""Rows of a mix in the making, shortly."""

from trainers.mapping import Item


def answered(number: int, asked: str, *answers: str, source: int = 0, system: str = "") -> Item:
    """One user turn with an answer, or two that are compared."""
    row = {"asked": asked, "answers": list(answers)}
    return Item(source=source, number=number, row=row, asked=(asked,), answers=answers, system=(system,))


def numbers(items: list[Item]) -> list[int]:
    """Which rows these are."""
    return [item.number for item in items]
