"""The verb `data`: list training mixes, or build one to be read by people.

Training builds the mixes that it needs by itself; this verb builds one anew, whether it is kept or not, and
reports what became of every source's rows.
"""

from dataclasses import dataclass
from pathlib import Path

from harness.errors import UnknownName
from harness.registry import MIX
from harness.verbs.evaluation_prompts import EvaluationPrompts
from harness.verbs.project import Project
from trainers import mix_cache
from trainers.build_mix import BuiltMix
from trainers.mix_cache import CachedMix, check_writable, write_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedMix:
    """A mix that the project defines."""

    name: str
    rows: str
    """Their shape."""
    sources: tuple[str, ...]
    used_by: tuple[str, ...]
    """Pipelines with a stage that trains on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeMix:
    """A mix that was made, and where it is."""

    built: BuiltMix
    kept: CachedMix
    files: tuple[Path, ...]
    """Rows and card, where they were asked for; the kept ones otherwise."""


def list_mixes(project: Project) -> list[ListedMix]:
    """Every mix that the project defines."""
    registry = project.registry
    return [
        ListedMix(
            name=mix.name,
            rows=mix.rows,
            sources=tuple(source.data for source in mix.sources),
            used_by=tuple(
                pipeline.name
                for pipeline in registry.pipelines.values()
                if any(f"{MIX}{mix.name}" in stage.data for stage in pipeline.stages)
            ),
        )
        for mix in registry.mixes.values()
    ]


def make_mix(project: Project, name: str, *, output: Path | None = None) -> MadeMix:
    """Make a mix, and write its rows to `output`, a `.jsonl` or `.parquet` file, and its card beside them.

    Raises UnknownName, and what making it raises: DataError, ConfigError, DownloadNeeded, UsageError.
    """
    registry = project.registry
    if name not in registry.mixes:
        raise UnknownName("mix", name, registry.mixes)
    if output is not None:
        check_writable(output)
    mix = registry.mixes[name]
    against = EvaluationPrompts(registry, project.data_root, mix.decontaminate)
    built, kept = mix_cache.make_mix(
        mix,
        folders=project.data_folders,
        output=registry.project.output,
        known=against.known,
        prompts=against.asked,
    )
    if output is None:
        return MadeMix(built=built, kept=kept, files=(kept.rows, kept.card))
    card = output.with_suffix(".md")
    write_rows(built.rows, output)
    card.write_text(kept.card.read_text(encoding="utf-8"), encoding="utf-8")
    return MadeMix(built=built, kept=kept, files=(output, card))
