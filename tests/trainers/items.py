"""Rows of a mix in the making, shortly."""

from trainers.mapping import MixItem


def answered(number: int, prompt: str, *answers: str, source: int = 0, system: str = "") -> MixItem:
    """One user turn with an answer, or two that are compared."""
    row = {"prompt": prompt, "answers": list(answers)}
    return MixItem(source=source, number=number, row=row, prompt=(prompt,), answers=answers, system=(system,))


def numbers(items: list[MixItem]) -> list[int]:
    """Which rows these are."""
    return [item.number for item in items]
