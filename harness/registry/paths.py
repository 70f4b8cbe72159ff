"""Where the paths of a harness.toml lead."""

import re
from dataclasses import dataclass
from pathlib import Path

from harness.errors import DataError
from harness.files import read_text
from harness.registry.mistakes import Mistakes

_FILE_ENDINGS = (".jsonl", ".json", ".csv", ".parquet", ".gz")
_PATH_BEGINNINGS = ("./", "../", "/")


@dataclass(frozen=True, slots=True)
class Ground:
    """The folder that relative paths start from, and where their mistakes are noted."""

    root: Path
    mistakes: Mistakes

    def absolute(self, path: str) -> str:
        """A path that is written as one (`./`, `../`, `/`), made absolute; any other text as it is."""
        return str(self.root / path) if path.startswith(_PATH_BEGINNINGS) else path

    def folder_or_hub(self, path: str) -> str:
        """The absolute path of what is there or is written as a path; else it is of the hub."""
        there = self.root / path
        return str(there) if there.exists() else self.absolute(path)

    def database(self, url: str) -> str:
        """A SQLAlchemy URL with SQLite's file made absolute."""
        relative = re.fullmatch(r"(sqlite(?:\+\w+)?:///)(?!/|:memory:|file:)(.+)", url)
        return f"{relative[1]}{self.root / relative[2]}" if relative else url

    def check_file(self, name: str, key: str) -> None:
        """Note it if this is clearly a file, and the file is not there."""
        is_file = name.endswith(_FILE_ENDINGS) or name.startswith(_PATH_BEGINNINGS)
        if is_file and not (self.root / name).is_file():
            self.mistakes.add(key, f"there is no file {self.root / name}")

    def text(self, name: str, key: str) -> str | None:
        """What a file says, or None and the mistake noted."""
        try:
            return read_text(self.root / name)
        except DataError as error:
            self.mistakes.add(key, str(error))
        return None
