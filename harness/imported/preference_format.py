"""How other tools' files of preferences are read: as rows of ours, one for each order of a pair."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from harness.preferences.named import NamedPreference
from harness.preferences.rows import Row


class PreferenceFormat:
    """How one tool writes preferences. Each reading of some files has an instance of its own."""

    name = ""
    """What the files are called, for people."""
    called: Mapping[str, str] = {}
    """Their names of our columns."""
    has_baselines = False
    """Whether the left model is meant as the baseline of its pair."""
    needs_others = False
    """Whether rows refer to those of another format, which is then read before."""

    def has(self, row: Row) -> bool:
        """Whether a row is written so, as far as its keys say it."""
        raise NotImplementedError

    def preferences(self, row: Row, file: Path) -> Iterator[Row]:
        """The row as rows of ours. Raises ValueError for what it cannot mean."""
        raise NotImplementedError

    def baselines(self, preferences: list[NamedPreference]) -> list[str]:
        """The models that are baselines of their pairs, of what was read from such files."""
        return list(dict.fromkeys(each.left for each in preferences)) if self.has_baselines else []

    def notes(self) -> Iterator[str]:
        """What was taken to be so, and what is counted otherwise than by the tool."""
        return iter(())

    def check(self, row: Row, *needed: str) -> None:
        """Raise ValueError for a row that lacks a key that all of them have."""
        lacking = [key for key in needed if key not in row]
        if lacking:
            raise ValueError(f"lacks {', '.join(lacking)}, which {self.name} have")
