"""Where the paths of a harness.toml lead."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import DataError
from harness.files import read_text
from harness.registry.mistakes import Mistakes

_FILE_ENDINGS = (".jsonl", ".json", ".csv", ".parquet", ".gz")
_PATH_BEGINNINGS = ("./", "../", "/")


@dataclass(frozen=True, slots=True)
class PathResolver:
    """Resolves the paths of a harness.toml against its folder, and notes their mistakes."""

    root: Path
    mistakes: Mistakes
    data_root: Path | None = None
    """The folder of official data, where files of training rows are looked for as well."""

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
        self._check_in([self.root], name, key)

    def check_rows(self, name: str, key: str) -> None:
        """The same for a file of training rows, which can be among the official data too."""
        self._check_in([self.root] if self.data_root is None else [self.root, self.data_root], name, key)

    def _check_in(self, folders: Sequence[Path], name: str, key: str) -> None:
        is_file = name.endswith(_FILE_ENDINGS) or name.startswith(_PATH_BEGINNINGS)
        if is_file and not any((folder / name).is_file() for folder in folders):
            self.mistakes.add(
                key, "there is no file " + " or ".join(str(folder / name) for folder in folders)
            )

    def text(self, name: str, key: str) -> str | None:
        """What a file says, or None and the mistake noted."""
        try:
            return read_text(self.root / name)
        except DataError as error:
            self.mistakes.add(key, str(error))
        return None
