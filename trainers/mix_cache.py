"""Mixes kept in the output folder, so that a plan need not build them again.

    OUTPUT/mixes/NAME-KEY/    rows.jsonl, card.md and mix.json

The key is the hash of all a mix depends on: its section, its sources' content, the prompts it must not
contain. A stage depends on the hash of the rows themselves.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path

from harness.errors import UnknownName, UsageError
from harness.records.models import Mix
from harness.registry import MIX
from trainers.build_mix import VERSION, BuiltMix, build_mix
from trainers.card import card
from trainers.contamination import PromptTexts
from trainers.jsonl import read_jsonl
from trainers.reading import Row, Source, read
from trainers.whole_folders import appearing_whole, locked

FOLDER = "mixes"
"""The folder of mixes, in the output folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedMix:
    """A mix in its folder."""

    name: str
    folder: Path
    hash: str
    """The hash of the rows' content, in order."""
    shape: str

    @property
    def rows(self) -> Path:
        return self.folder / "rows.jsonl"

    @property
    def card(self) -> Path:
        return self.folder / "card.md"

    @property
    def source(self) -> Source:
        return Source(
            name=MIX + self.name, hash=self.hash, read=partial(read_jsonl, self.rows), shape=self.shape
        )


def no_mix(name: str) -> Source:
    """Raise UnknownName: the source of a project without mixes."""
    raise UnknownName("mix", name, ())


def cached_mix(
    mix: Mix,
    *,
    folders: Sequence[Path],
    output: Path,
    known: Mapping[str, str],
    prompts: Callable[[], PromptTexts],
) -> CachedMix:
    """The cached mix, which is built now where it is missing.

    Files of rows are looked for in `folders`. `known` identifies the prompts of each suite that the mix must
    not contain; `prompts` gives them, and is called where the mix has to be built. Raises as `build_mix` and
    reading a source do.
    """
    sources = _sources(mix, folders)
    folder = _folder(output, mix, sources, known)
    if (folder / "mix.json").is_file() and (folder / "rows.jsonl").is_file():
        content = json.loads((folder / "mix.json").read_text(encoding="utf-8"))
        return CachedMix(name=mix.name, folder=folder, hash=content["hash"], shape=mix.rows)
    return _keep(build_mix(mix, sources, prompts()), folder)


def make_mix(
    mix: Mix, *, folders: Sequence[Path], output: Path, known: Mapping[str, str], prompts: PromptTexts
) -> tuple[BuiltMix, CachedMix]:
    """Build the mix whether it is cached or not, and cache it. Raises as `cached_mix` does."""
    sources = _sources(mix, folders)
    built = build_mix(mix, sources, prompts)
    return built, _keep(built, _folder(output, mix, sources, known))


def _sources(mix: Mix, folders: Sequence[Path]) -> list[Source]:
    """Read each source once, however often the mix names it."""
    found = {name: read(name, *folders) for name in dict.fromkeys(source.data for source in mix.sources)}
    return [found[source.data] for source in mix.sources]


def _folder(output: Path, mix: Mix, sources: Sequence[Source], known: Mapping[str, str]) -> Path:
    inputs = {
        "version": VERSION,
        "mix": asdict(mix),
        "sources": [source.hash for source in sources],
        "prompts": dict(known),
    }
    key = sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()
    return output / FOLDER / f"{mix.name}-{key[:12]}"


def _keep(built: BuiltMix, folder: Path) -> CachedMix:
    """Write everything beside its place, and then move it there in one step. Raises UsageError."""
    try:
        with locked(folder), appearing_whole(folder) as new:
            _write_jsonl(built.rows, new / "rows.jsonl")
            (new / "card.md").write_text(card(built), encoding="utf-8")
            content = {"name": built.mix.name, "hash": built.hash, "rows": len(built.rows)}
            (new / "mix.json").write_text(json.dumps(content), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{folder}: the mix cannot be written here ({error.strerror})") from error
    return CachedMix(name=built.mix.name, folder=folder, hash=built.hash, shape=built.mix.rows)


def _write_jsonl(rows: Sequence[Row], file: Path) -> None:
    """Write one row per line. Raises OSError."""
    with file.open("w", encoding="utf-8") as lines:
        lines.writelines(f"{json.dumps(row, ensure_ascii=False, default=str)}\n" for row in rows)


def check_writable(file: Path) -> None:
    """Raise UsageError for a file that `write_rows` cannot write."""
    if file.suffix not in (".jsonl", ".parquet"):
        raise UsageError(f"{file}: rows are written as .jsonl or .parquet; end the file's name with one")


def write_rows(rows: Sequence[Row], file: Path) -> None:
    """Write a `.jsonl` or `.parquet` file. Raises UsageError for other endings, and where writing fails."""
    check_writable(file)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".jsonl":
            _write_jsonl(rows, file)
        else:
            _write_parquet(rows, file)
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror or error}") from error


def _write_parquet(rows: Sequence[Row], file: Path) -> None:
    import pyarrow  # noqa: PLC0415 - slow to import, and a plan does not need it
    from pyarrow import parquet  # noqa: PLC0415 - the same

    try:
        parquet.write_table(pyarrow.Table.from_pylist(list(rows)), file)
    except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError) as error:
        raise UsageError(f"{file}: these rows make no table ({error}); write .jsonl instead") from error
