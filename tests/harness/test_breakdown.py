"""Results by group: what belongs to which group, and that a table is one exploratory family of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from harness.comparison.breakdown import Breakdown, break_down, group_of
from harness.comparison.paired import ScoredRun
from harness.observed import Observed
from harness.records.answers import Metric, Observation
from harness.records.comparisons import Decision
from harness.records.models import Json
from harness.stats.multiplicity import holm
from harness.stats.plan import AnalysisPlan
from tests.harness.compared import compared
from tests.reports.boards import run_of

RIGHT = Metric(name="right", kind="binary", headline=True, splits=("kind",))
PARTS = Metric(name="followed", kind="binary", splits=("type",))

Tags = Mapping[str, Mapping[str, Json]]


def scored(
    model: str, values: Mapping[str, Sequence[float | None]], tags: Tags, metric: Metric = RIGHT
) -> ScoredRun:
    """A run of one suite: the scores of each sample's parts, and what the samples are tagged with."""
    observed = [
        Observation(sample=sample, part=part, cluster=sample, value=value)
        for sample, parts in values.items()
        for part, value in enumerate(parts)
    ]
    run = run_of(model, "quiz", metrics=(metric,))
    return ScoredRun(run=run, observations={metric.name: Observed.of(observed)}, tags=tags)


def alternating(n: int, right: int) -> dict[str, list[float]]:
    """`n` samples with one score each; of every ten the first `right` are right."""
    return {f"q{i}": [float(i % 10 < right)] for i in range(n)}


def halves(n: int) -> Tags:
    """Every other sample is easy."""
    return {f"q{i}": {"kind": "easy" if i % 2 else "hard"} for i in range(n)}


def only(tables: Sequence[Breakdown]) -> Breakdown:
    """The one there is."""
    (table,) = tables
    return table


@pytest.mark.parametrize(
    ("value", "groups"),
    [
        ("art", ["art", "art"]),
        (["a", "b"], ["a", "b"]),
        (["a"], ["a", None]),
        (["a", None], ["a", None]),
        (True, ["yes", "yes"]),
        (False, ["no", "no"]),
        (3, ["3", "3"]),
        (None, [None, None]),
    ],
)
def test_the_group_of_a_part(value: Json, groups: list[str | None]) -> None:
    """A list names the group of each part, anything else that of all; None and what is missing name none."""
    assert groups == [group_of({"kind": value}, "kind", part) for part in range(2)]
    assert group_of({}, "kind", 0) is None


def test_a_group_is_compared_as_if_it_had_been_asked_alone() -> None:
    """Its difference, interval and raw p are those of the suite with nothing but its samples."""
    tags = halves(100)
    base, tuned = scored("base", alternating(100, 3), tags), scored("tuned", alternating(100, 7), tags)
    table = only(break_down([base], {"tuned": [tuned]}, AnalysisPlan(resamples=500)))

    def easy(of: ScoredRun) -> ScoredRun:
        kept = [seen for seen in of.observations["right"] if tags[seen.sample]["kind"] == "easy"]
        return replace(of, observations={"right": Observed.of(kept)})

    (alone,) = compared(easy(base), easy(tuned), AnalysisPlan(resamples=500))
    found = table.comparisons["tuned", "easy"]
    assert (alone.difference, alone.interval, alone.p, 50) == (
        found.difference,
        found.interval,
        found.p,
        found.n,
    )
    assert ("quiz", "right", "kind", ["easy", "hard"]) == (
        table.suite,
        table.metric.name,
        table.split,
        list(table.groups),
    )


def test_a_table_is_a_family_of_its_own() -> None:
    """Holm's correction runs over its groups and all candidates; no headline is among them."""
    tags = {f"q{i}": {"kind": f"k{i % 3}"} for i in range(90)}
    base = scored("base", alternating(90, 3), tags)
    candidates = {
        "one": [scored("one", alternating(90, 5), tags)],
        "two": [scored("two", alternating(90, 9), tags)],
    }
    table = only(break_down([base], candidates, AnalysisPlan(resamples=500)))
    found = list(table.comparisons.values())
    raw = [each.p for each in found if each.p is not None]
    assert 6 == len(raw)
    assert holm(raw) == [each.adjusted_p for each in found]
    assert {"quiz right by kind"} == {each.family for each in found}
    assert {False} == {each.metric.headline for each in found}
    assert Decision.BETTER == table.comparisons["two", "k0"].decision


def test_parts_belong_to_groups_of_their_own() -> None:
    """A sample's parts may be of several groups, and parts of one group share the sample's cluster."""
    tags: Tags = {f"q{i}": {"type": ["a", "a", "b"]} for i in range(12)}
    before = {f"q{i}": [float(i < 3), float(i < 4), 1.0] for i in range(12)}
    after = {f"q{i}": [1.0, float(i < 9), 1.0] for i in range(12)}
    base, tuned = scored("base", before, tags, PARTS), scored("tuned", after, tags, PARTS)
    table = only(break_down([base], {"tuned": [tuned]}, AnalysisPlan(resamples=200)))
    first, second = table.comparisons["tuned", "a"], table.comparisons["tuned", "b"]
    assert (24, 12, 12, 12) == (first.scores, first.n, second.scores, second.n)
    assert first.difference == pytest.approx((9 + 5) / 24)
    assert 0.0 == second.difference


def test_tags_of_one_run_count_for_all() -> None:
    """A run of before there were tags is split by those of the run beside it."""
    tags = halves(20)
    base, tuned = scored("base", alternating(20, 3), {}), scored("tuned", alternating(20, 7), tags)
    plain = replace(base, run=replace(base.run, metrics=(replace(RIGHT, splits=()),)))
    table = only(break_down([plain], {"tuned": [tuned]}, AnalysisPlan(resamples=200)))
    assert 10 == table.comparisons["tuned", "easy"].n
    tagged, later = scored("base", alternating(20, 3), tags), scored("tuned", alternating(20, 7), {})
    assert table.groups == only(break_down([tagged], {"tuned": [later]}, AnalysisPlan(resamples=20))).groups


def test_what_has_no_tag_is_in_no_group() -> None:
    """It is left out of every group, and known."""
    tags = {sample: tag for sample, tag in halves(20).items() if sample not in ("q0", "q1")}
    table = only(break_down([scored("base", alternating(20, 3), tags)], {}))
    assert 2 == table.ungrouped
    assert {"easy": 9, "hard": 9} == {group: size.scores for group, size in table.groups.items()}
    assert {} == table.comparisons


@pytest.mark.parametrize("tags", [{}, {f"q{i}": {"kind": "one"} for i in range(20)}])
def test_one_group_says_nothing_new(tags: Tags) -> None:
    """A metric is split only where there are two groups or more."""
    assert [] == break_down([scored("base", alternating(20, 3), tags)], {})


def test_groups_of_runs_that_do_not_compare() -> None:
    """Where the runs may not be compared their groups are not either, unless it is forced."""
    tags = halves(40)
    base, tuned = scored("base", alternating(40, 3), tags), scored("tuned", alternating(40, 7), tags)
    other = replace(tuned, run=replace(tuned.run, data_hash="sha256:other"))
    refused = only(break_down([base], {"tuned": [other]}))
    assert {Decision.NOT_COMPARABLE} == {each.decision for each in refused.comparisons.values()}
    forced = only(break_down([base], {"tuned": [other]}, AnalysisPlan(resamples=200, force=True)))
    assert None not in {each.difference for each in forced.comparisons.values()}


def test_a_suite_that_only_candidates_were_asked() -> None:
    """There is nothing to compare with; the groups are there all the same."""
    table = only(break_down([], {"tuned": [scored("tuned", alternating(20, 7), halves(20))]}))
    assert {} == table.comparisons
    assert ["easy", "hard"] == list(table.groups)


def test_a_tag_that_parts_nothing_does_not_end_the_search() -> None:
    """The next split is made, its groups stand in the order of their names, and no margin rests on it."""
    metric = replace(RIGHT, splits=("one", "kind"), margin=0.1)
    tags: Tags = {f"q{i}": {"one": "all", "kind": f"k{(7 - i) % 3}"} for i in range(9)}
    runs = [scored(name, alternating(9, 5), tags, metric) for name in ("base", "tuned")]

    table = only(break_down([runs[0]], {"tuned": [runs[1]]}, AnalysisPlan(resamples=20)))

    assert ("kind", ["k0", "k1", "k2"]) == (table.split, list(table.groups))
    assert {None} == {each.metric.margin for each in table.comparisons.values()}


def test_a_run_without_the_metric_has_no_groups() -> None:
    """What another run says of it stands, and nothing is compared for it."""
    tags = halves(10)
    base, other = (scored(name, alternating(10, 5), tags) for name in ("base", "tuned"))

    table = only(break_down([base], {"tuned": [replace(other, observations={})]}, AnalysisPlan(resamples=20)))

    assert ["easy", "hard"] == list(table.groups)
    assert {0} == {each.n for each in table.comparisons.values()}
