"""Names the samples of other tools so that two runs of one task pair, and other questions do not.

A tool's own name of a sample (its number, most often) is the same in another selection and order, and may be
another question's in another version of the data. So what a sample asks is a part of its id: the characters
of its texts, in whatever order, since a run may shuffle choices, also within a question that lists them.
"""

from hashlib import sha256


def sample_id(name: str, *texts: str) -> str:
    """A sample's id: the tool's name of it, and 8 digits of a hash of the characters of its texts."""
    characters = bytes(sorted("".join(texts).encode()))
    return f"{name}-{sha256(characters).hexdigest()[:8]}"
