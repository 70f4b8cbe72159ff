"""A metric's values as frameworks of tasks write them, and which aggregations of them are means."""

MEANS = ("mean", "nanmean")


def as_parts(value: object) -> list[float] | None:
    """A metric's value, or its values for the parts of a document; None where it is neither."""
    if isinstance(value, bool | int | float):
        return [float(value)]
    if isinstance(value, list) and value and all(isinstance(each, bool) for each in value):
        return [float(each) for each in value]
    return None
