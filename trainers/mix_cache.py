"""Mixes that were made, kept in the output folder, so that a plan need not make them again.

    OUTPUT/mixes/NAME-KEY/    rows.jsonl, card.md and mix.json

The key is the hash of all that a mix depends on: its section, its sources' content, the prompts it is kept
apart from. What a stage depends on is the hash of the rows themselves.

It does not know where prompts come from, or how a mix is made.
"""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp

from harness.errors import UnknownName, UsageError
from harness.records import Mix
from harness.registry import MIX
from trainers.build_mix import VERSION, BuiltMix, build_mix
from trainers.card import card
from trainers.contamination import PromptTexts
from trainers.reading import Row, Source, read

FOLDER = "mixes"
"""In the output folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedMix:
    """A mix in its folder."""

    name: str
    folder: Path
    hash: str
    """Of the rows' content, in their order."""
    shape: str

    @property
    def rows(self) -> Path:
        """One row per line."""
        return self.folder / "rows.jsonl"

    @property
    def card(self) -> Path:
        """The data card."""
        return self.folder / "card.md"

    @property
    def source(self) -> Source:
        """The mix as data of a stage."""
        return Source(name=MIX + self.name, hash=self.hash, read=partial(_rows, self.rows), shape=self.shape)


def no_mix(name: str) -> Source:
    """Where there are no mixes. Raises UnknownName."""
    raise UnknownName("mix", name, ())


def cached_mix(
    mix: Mix, *, root: Path, output: Path, known: Mapping[str, str], prompts: Callable[[], PromptTexts]
) -> CachedMix:
    """The mix as it is kept, or else made and kept now.

    `known` identifies the prompts of each suite the mix is kept apart from; `prompts` gives them, and is
    called where the mix has to be made. Raises what `build` does, and what reading a source does.
    """
    sources = _sources(mix, root)
    folder = output / FOLDER / f"{mix.name}-{_key(mix, sources, known)[:12]}"
    if (folder / "mix.json").is_file():
        told = json.loads((folder / "mix.json").read_text(encoding="utf-8"))
        return CachedMix(name=mix.name, folder=folder, hash=told["hash"], shape=mix.rows)
    return _keep(build_mix(mix, sources, prompts()), folder)


def make_mix(
    mix: Mix, *, root: Path, output: Path, known: Mapping[str, str], prompts: PromptTexts
) -> tuple[BuiltMix, CachedMix]:
    """Make the mix whether it is kept or not, and keep it. Raises as `kept_mix` does."""
    sources = _sources(mix, root)
    built = build_mix(mix, sources, prompts)
    return built, _keep(built, output / FOLDER / f"{mix.name}-{_key(mix, sources, known)[:12]}")


def _sources(mix: Mix, root: Path) -> list[Source]:
    """Each read once, however often it is named."""
    found = {name: read(name, root) for name in dict.fromkeys(source.data for source in mix.sources)}
    return [found[source.data] for source in mix.sources]


def _key(mix: Mix, sources: Sequence[Source], known: Mapping[str, str]) -> str:
    inputs = {
        "version": VERSION,
        "mix": asdict(mix),
        "sources": [source.hash for source in sources],
        "prompts": dict(known),
    }
    return sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def _keep(built: BuiltMix, folder: Path) -> CachedMix:
    """Write everything beside its place, and then put it there at once. Raises UsageError."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        new = Path(mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
        _write_jsonl(built.rows, new / "rows.jsonl")
        (new / "card.md").write_text(card(built), encoding="utf-8")
        told = {"name": built.mix.name, "hash": built.hash, "rows": len(built.rows)}
        (new / "mix.json").write_text(json.dumps(told), encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        new.rename(folder)
    except OSError as error:
        raise UsageError(f"{folder}: the mix cannot be written here ({error.strerror})") from error
    return CachedMix(name=built.mix.name, folder=folder, hash=built.hash, shape=built.mix.rows)


def _write_jsonl(rows: Sequence[Row], file: Path) -> None:
    """One row per line. Raises OSError."""
    with file.open("w", encoding="utf-8") as lines:
        lines.writelines(f"{json.dumps(row, ensure_ascii=False, default=str)}\n" for row in rows)


def check_writable(file: Path) -> None:
    """Raise UsageError for a file that `write_rows` does not write."""
    if file.suffix not in (".jsonl", ".parquet"):
        raise UsageError(f"{file}: rows are written as .jsonl or .parquet; end the file's name with one")


def write_rows(rows: Sequence[Row], file: Path) -> None:
    """Write a `.jsonl` or `.parquet` file. Raises UsageError for other endings, and where it cannot be."""
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
    import pyarrow  # noqa: PLC0415  a plan must not pay for it
    from pyarrow import parquet  # noqa: PLC0415  the same

    try:
        parquet.write_table(pyarrow.Table.from_pylist(list(rows)), file)
    except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError) as error:
        raise UsageError(f"{file}: these rows make no table ({error}); write .jsonl instead") from error


def _rows(file: Path) -> Sequence[Row]:
    with file.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
