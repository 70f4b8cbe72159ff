"""A mix: rows of several sources in one shape, cleaned step by step, sampled and shuffled.

Every step counts its rows for each source, and keeps what it removed with reasons and examples. Sampling
depends only on the rows and the seed, by hashes: it gives the same rows everywhere, and a source's sample
does not change when another source does.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from harness.records.models import Mix
from trainers.contamination import PromptTexts, without_contaminated
from trainers.duplicates import without_duplicates, without_near_duplicates
from trainers.mapping import MixItem, Removed, map_rows, removed
from trainers.reading import Row, Source, rows_hash
from trainers.settings import wrong_setting

VERSION = 1
"""Goes up when the same sources would give other rows: cached mixes are then built again."""
STEPS = ("read", "mapped", "length", "duplicates", "near-duplicates", "contaminated", "sampled")
"""In order; counts are of the rows left after each step."""
EXAMPLES = 5
"""How many removed rows of each step are shown, and how many rows of the mix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceCounts:
    """A source, and how many of its rows were left after each step."""

    data: str
    hash: str
    """The hash of the rows' content, as read."""
    licence: str | None
    rows: Mapping[str, int]
    characters: tuple[int, ...]
    """The lengths of its rows in the mix, ascending."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one step removed."""

    name: str
    removed: int
    reasons: Mapping[str, int]
    examples: tuple[Removed, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltMix:
    """A mix, and how it was built."""

    mix: Mix
    rows: tuple[Row, ...]
    hash: str
    """The hash of the rows' content, in order."""
    sources: tuple[SourceCounts, ...]
    steps: tuple[Step, ...]
    compared: Mapping[str, int]
    """How many prompts of each suite rows were compared with."""
    unread: Mapping[str, str]
    """The reason, for each suite whose prompts could not be read."""


@dataclass(kw_only=True)
class _MixBuilder:
    """A mix under construction: the rows left, and what each step did."""

    mix: Mix
    items: list[MixItem] = field(default_factory=list)
    counts: list[dict[str, int]] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    def step(self, name: str, kept: Sequence[MixItem], left_out: Sequence[Removed]) -> None:
        self.items = list(kept)
        left = Counter(item.source for item in kept)
        for place, count in enumerate(self.counts):
            count[name] = left[place]
        reasons = Counter(each.why for each in left_out)
        self.steps.append(
            Step(
                name=name,
                removed=len(left_out),
                reasons=dict(reasons.most_common()),
                examples=tuple(_examples(left_out)),
            )
        )


def build_mix(mix: Mix, sources: Sequence[Source], prompts: PromptTexts) -> BuiltMix:
    """Build a mix from its sources, given in the order of `mix.sources`.

    Raises DataError for a row or a source that cannot be used, ConfigError for a `count` that cannot be met
    and where no row is left.
    """
    builder = _MixBuilder(mix=mix, counts=[{"read": len(source.rows)} for source in sources])
    mapped = [
        map_rows(place, described, source.rows, mix.rows)
        for place, (described, source) in enumerate(zip(mix.sources, sources, strict=True))
    ]
    builder.step(
        "mapped", [item for kept, _ in mapped for item in kept], [each for _, out in mapped for each in out]
    )
    builder.step("length", *_within_length(builder.items, mix))
    if mix.deduplicate != "none":
        builder.step("duplicates", *without_duplicates(builder.items))
    if mix.deduplicate == "near":
        builder.step("near-duplicates", *without_near_duplicates(builder.items, mix.similarity))
    if prompts.by_suite:
        builder.step("contaminated", *without_contaminated(builder.items, prompts.by_suite))
    _check_some(builder)
    sampled = sample_rows(mix, builder.items, [_story(count) for count in builder.counts])
    chosen = {(item.source, item.number) for item in sampled}
    rest = [removed(item, "not drawn") for item in builder.items if (item.source, item.number) not in chosen]
    builder.step("sampled", sampled, rest)
    rows = tuple(item.row for item in sampled)
    return BuiltMix(
        mix=mix,
        rows=rows,
        hash=rows_hash(rows),
        sources=tuple(
            _counted(builder, place, source, [length(item) for item in sampled if item.source == place])
            for place, source in enumerate(sources)
        ),
        steps=tuple(builder.steps),
        compared={suite: len(texts) for suite, texts in prompts.by_suite.items()},
        unread=prompts.unread,
    )


def _counted(builder: _MixBuilder, place: int, source: Source, characters: Sequence[int]) -> SourceCounts:
    described = builder.mix.sources[place]
    return SourceCounts(
        data=described.data,
        hash=source.hash,
        licence=described.licence,
        rows=builder.counts[place],
        characters=tuple(sorted(characters)),
    )


def length(item: MixItem) -> int:
    """Characters of all texts of a row, both answers of a pair included."""
    return sum(map(len, item.texts))


def _within_length(items: Sequence[MixItem], mix: Mix) -> tuple[list[MixItem], list[Removed]]:
    kept, left_out = [], []
    for item in items:
        characters = length(item)
        if characters < mix.min_characters:
            why = f"fewer than {mix.min_characters:,} characters"
        elif mix.max_characters is not None and characters > mix.max_characters:
            why = f"more than {mix.max_characters:,} characters"
        else:
            kept.append(item)
            continue
        left_out.append(removed(item, why, f"{characters:,} characters"))
    return kept, left_out


def _examples(left_out: Sequence[Removed]) -> list[Removed]:
    """The first of each reason, then further ones."""
    firsts = {each.why: each for each in reversed(left_out)}
    shown = [each for each in left_out if firsts[each.why] is each]
    return (shown + [each for each in left_out if each not in shown])[:EXAMPLES]


def _check_some(builder: _MixBuilder) -> None:
    if not builder.items:
        found = "; ".join(
            f"{source.data}: {_story(count)}"
            for source, count in zip(builder.mix.sources, builder.counts, strict=True)
        )
        raise wrong_setting(f"data.{builder.mix.name}", f"no row is left of this mix ({found})")


def _story(counts: Mapping[str, int]) -> str:
    """How many of a source's rows each step left."""
    return " → ".join(f"{step} {number:,}" for step, number in counts.items())


def sample_rows(mix: Mix, items: Sequence[MixItem], stories: Sequence[str]) -> list[MixItem]:
    """As many rows of each source as its `count` or `weight` says, all in one shuffled order.

    Weighted sources give as many rows as their proportions allow without repeating one; a source with neither
    gives all. `stories` describe how many rows each step left of each source. Raises ConfigError.
    """
    ranked: dict[int, list[MixItem]] = {place: [] for place in range(len(mix.sources))}
    for item in sorted(items, key=_rank(f"{mix.seed}:draw")):
        ranked[item.source].append(item)
    wanted = _amounts(mix, {place: len(theirs) for place, theirs in ranked.items()}, stories)
    sampled = [item for place, theirs in ranked.items() for item in theirs[: wanted[place]]]
    return sorted(sampled, key=_rank(f"{mix.seed}:order"))


def _rank(salt: str) -> Callable[[MixItem], bytes]:
    """A sort key that depends only on the salt and the row; equal rows keep their order."""

    def rank(item: MixItem) -> bytes:
        return sha256(f"{salt}:{json.dumps(item.row, sort_keys=True, default=str)}".encode()).digest()

    return rank


def _amounts(mix: Mix, left: Mapping[int, int], stories: Sequence[str]) -> Mapping[int, int]:
    """How many of the rows left each source gives."""
    shares = {place: left[place] / each.weight for place, each in enumerate(mix.sources) if each.weight}
    scale = min(shares.values(), default=0.0)
    amounts = {}
    for place, source in enumerate(mix.sources):
        key = f"data.{mix.name}.sources[{place}]"
        if source.weight:
            # the source that limits the others gives all it has, whatever the division rounds to
            amounts[place] = left[place] if shares[place] == scale else int(source.weight * scale)
            if not amounts[place]:
                message = f"no row of {source.data} can be drawn in this proportion ({stories[place]})"
                raise wrong_setting(f"{key}.weight", message)
        elif source.count and source.count > left[place]:
            message = f"asks for {source.count:,} rows, and {source.data} has {left[place]:,}"
            raise wrong_setting(f"{key}.count", f"{message} ({stories[place]})")
        else:
            amounts[place] = source.count or left[place]
    return amounts
