"""Two runs of one suite become comparisons, and comparisons a verdict.

A comparison is refused where the runs differ in what makes them comparable, unless it is forced, and then it
says so. What is compared is paired by sample and part; a score missing on either side is counted and left
out, never averaged in.

Three numbers say different things, and are made to agree before anything is decided. The **interval** holds
the plausible values of one difference, at its own level. The **p** asks whether that one difference could be
chance; the **adjusted p** asks it knowing how many headlines were looked at. BETTER and WORSE need both: an
adjusted p below 1 - level, and an interval wholly on one side of zero. A metric with a margin is decided on
it besides (`harness.price`).

It does not know models, suites or the store: it is given scores.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from harness import price
from harness.bounds import difference_bounds
from harness.counted import counted
from harness.environment import packages_behind
from harness.records import Alike, Comparison, Decision, Flips, Json, Metric, Observation, Run, Verdict
from harness.stats.clusters import Clusters, Floats, by_cluster, value_range
from harness.stats.decisions import decide_difference
from harness.stats.intervals import difference_interval
from harness.stats.multiplicity import holm
from harness.stats.paired import PairedTest, mcnemar, sign_flip
from harness.stats.plan import USUAL, AnalysisPlan
from harness.stats.power import detectable

HEADLINE, EXPLORATORY = "headline", "exploratory"
MANNER: Mapping[str, tuple[str, str]] = {
    "thinking": ("thinking", "left to the model"),
    "system": ("system prompt", "none"),
    "template_arguments": ("arguments of the chat template", "none"),
    "thinking_tokens": ("tokens for thoughts beside the answer's", "none"),
    "thinking_tags": ("tags of thoughts", "the usual"),
    "template_thought": ("a thought in the chat template", "none"),
}
"""What a run records of how its model is asked: in words, and what it means where nothing is recorded."""

UNLESS_RECORDED: Mapping[str, Json] = {
    "engine.chat_template_date": "none",
    "engine.gguf": "none",
    "engine.tokenizer": "the model's",
}
"""What holds where a run's environment says nothing of it."""
_HASH = re.compile(r"[0-9a-f]{40,}")
SHOWN = 0.001
"""The smallest difference that three decimals can show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredRun:
    """A run and its scores by metric name, unscored ones (value None) included."""

    run: Run
    observations: Mapping[str, Sequence[Observation]]
    tags: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    """Of each sample, by its id; only results by group need them."""
    alike: Alike | None = None
    """A candidate's with the baseline's run, where nearly all answers are equal."""


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Scores of both sides, by sample and part, with the count of what could not be paired."""

    baseline: Floats
    candidate: Floats
    clusters: list[str]
    samples: int
    unscored: int
    unpaired: int


def compare_all(
    baseline: Sequence[ScoredRun],
    candidates: Mapping[str, Sequence[ScoredRun]],
    plan: AnalysisPlan = USUAL,
) -> list[Verdict]:
    """Each candidate against the baseline: one run per suite on each side, and at least one of the baseline.

    Holm's correction covers the headline comparisons of all candidates and suites as one family, and all
    others as a second, exploratory one; metrics with a margin that are no headlines are a third. Numbers
    before it do not depend on what else is compared.
    """
    by_candidate = {name: list(_over_suites(baseline, runs, name, plan)) for name, runs in candidates.items()}
    adjusted = iter(_adjusted([each for found in by_candidate.values() for each in found], plan))
    return [
        _verdict(baseline[0].run.model, name, [next(adjusted) for _ in found])
        for name, found in by_candidate.items()
    ]


def compare_family(
    pairs: Sequence[tuple[ScoredRun, ScoredRun]], family: str, plan: AnalysisPlan = USUAL
) -> list[Comparison]:
    """Pairs of a baseline's and a candidate's run of one metric, corrected together as a family of their own.

    One comparison per pair, in their order.
    """
    found = [each for pair in pairs for each in _over_metrics(*pair, plan)]
    return _adjusted([replace(each, family=family) for each in found], plan)


@dataclass(frozen=True, slots=True)
class Difference:
    """What is not the same for two runs."""

    what: str
    baseline: str
    candidate: str

    def between(self, baseline: str, candidate: str) -> str:
        """In words, with the names of the two models."""
        return f"{self.what}: {self.baseline} for {baseline} but {self.candidate} for {candidate}"


def comparability(baseline: Run, candidate: Run) -> tuple[list[str], list[str]]:
    """What forbids comparing two runs, and what a reader must know though it does not forbid it.

    Suite, version, data, number of samples and every setting must agree. Whether a chat template is applied
    belongs to the candidate, as its weights do: there a difference is only noted, as are other seeds,
    package versions and devices, and a run that is not finished.
    """
    names = baseline.model, candidate.model
    noted = [each.between(*names) for each in _noted(baseline, candidate)]
    unfinished = [run.model for run in (baseline, candidate) if run.finished is None]
    return (
        [each.between(*names) for each in incomparable(baseline, candidate)],
        [
            *noted,
            *filter(None, map(unused_system, (baseline, candidate))),
            *(f"the run of {model} is not finished" for model in unfinished),
        ],
    )


def incomparable(baseline: Run, candidate: Run) -> list[Difference]:
    """What forbids comparing two runs."""
    mine, theirs = _settings(baseline), _settings(candidate)
    return [
        *_differing("suite", baseline.suite, candidate.suite),
        *_differing("suite version", baseline.suite_version, candidate.suite_version),
        *_differing("data", baseline.data_hash, candidate.data_hash),
        *_differing("number of samples", baseline.size, candidate.size),
        *_differing_keys("setting ", mine, theirs),
    ]


def _noted(baseline: Run, candidate: Run) -> list[Difference]:
    templates = (run.settings.get("chat_template") for run in (baseline, candidate))
    return [
        *_differing("chat template applied", *templates),
        *_differing("seed", baseline.seed, candidate.seed),
        *_asked_differently(baseline, candidate),
        *_differing_keys("", _conditions(baseline), _conditions(candidate)),
    ]


def _settings(run: Run) -> dict[str, Json]:
    """All but whether a chat template is applied."""
    return {key: value for key, value in _flat(run.settings).items() if key != "chat_template"}


def unused_system(run: Run) -> str | None:
    """What to know of a run whose model has a system prompt, and was asked in bare texts; None for others."""
    if run.settings.get("chat_template") is not False or "system" not in _engine(run):
        return None
    return (
        f"the system prompt of {run.model} stands before no prompt of {run.suite}, which asks in bare texts, "
        "without a chat template"
    )


def _asked_differently(baseline: Run, candidate: Run) -> Iterator[Difference]:
    """How the models' sections say that they are asked, where they differ."""
    for key, (what, unset) in MANNER.items():
        mine, theirs = (_in_plain(_engine(run).get(key, unset)) for run in (baseline, candidate))
        yield from _differing(what, mine, theirs)


def _in_plain(value: Json) -> Json:
    return ("on" if value else "off") if isinstance(value, bool) else value


def _engine(run: Run) -> Mapping[str, Json]:
    recorded = run.environment.get("engine")
    return recorded if isinstance(recorded, Mapping) else {}


def _conditions(run: Run) -> dict[str, Json]:
    """What of the environment can move a number: the packages behind it and what the engine computes with."""
    packages = packages_behind(run.suite, _engine(run))
    recorded = {**UNLESS_RECORDED, **_flat(run.environment)}
    telling = {
        "engine.device",
        "engine.dtype",
        "engine.scoring",
        "processor",
        *UNLESS_RECORDED,
        *(f"packages.{name}" for name in packages),
    }
    return {key: value for key, value in recorded.items() if key in telling}


def _flat(tree: Mapping[str, Json], prefix: str = "") -> dict[str, Json]:
    """Nested mappings as one, with dotted keys."""
    flat: dict[str, Json] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _differing_keys(prefix: str, left: Mapping[str, Json], right: Mapping[str, Json]) -> Iterator[Difference]:
    for key in sorted(left.keys() | right.keys()):
        yield from _differing(prefix + key, left.get(key), right.get(key))


def _differing(what: str, left: Json, right: Json) -> Iterator[Difference]:
    if _canonical(left) != _canonical(right):
        yield Difference(what, _short(_canonical(left)), _short(_canonical(right)))


def _short(value: str) -> str:
    """A hash needs no more digits in a sentence than tell two apart; the conditions have all of them."""
    return _HASH.sub(lambda found: found[0][:12], value)


def _canonical(value: Json) -> str:
    """A value as JSON: what a store gives back equals what was put in, lists for tuples included."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _over_suites(
    baseline: Sequence[ScoredRun], candidate: Sequence[ScoredRun], name: str, plan: AnalysisPlan
) -> Iterator[Comparison]:
    """All comparisons of one candidate, suites in the baseline's order."""
    ours, theirs = ({scored.run.suite: scored for scored in runs} for runs in (baseline, candidate))
    reference = baseline[0].run.model
    for suite in dict.fromkeys([*ours, *theirs]):
        if suite in ours and suite in theirs:
            yield from _over_metrics(ours[suite], theirs[suite], plan)
            continue
        lonely, absent = (ours[suite], name) if suite in ours else (theirs[suite], reference)
        for metric in lonely.run.metrics:
            yield _without_numbers(reference, name, suite, metric, [f"{absent} has no run of this suite"])


def _over_metrics(baseline: ScoredRun, candidate: ScoredRun, plan: AnalysisPlan) -> list[Comparison]:
    blocking, notes = comparability(baseline.run, candidate.run)
    metrics = {metric.name: metric for metric in (*candidate.run.metrics, *baseline.run.metrics)}
    if blocking and not plan.force:
        names = baseline.run.model, candidate.run.model
        return [_without_numbers(*names, baseline.run.suite, metric, blocking) for metric in metrics.values()]
    told = [*(f"forced: {reason}" for reason in blocking), *notes]
    return [_compared(baseline, candidate, metric, told, plan) for metric in metrics.values()]


def _without_numbers(
    baseline: str, candidate: str, suite: str, metric: Metric, notes: Sequence[str]
) -> Comparison:
    return Comparison(
        baseline=baseline,
        candidate=candidate,
        suite=suite,
        metric=metric,
        decision=Decision.NOT_COMPARABLE,
        n=0,
        scores=0,
        clusters=0,
        unscored=0,
        unpaired=0,
        baseline_mean=None,
        candidate_mean=None,
        difference=None,
        interval=None,
        p=None,
        adjusted_p=None,
        family=_family(metric),
        flips=None,
        detectable=None,
        method="not compared",
        notes=tuple(notes),
    )


def _family(metric: Metric) -> str:
    if metric.headline:
        return HEADLINE
    return EXPLORATORY if metric.margin is None else price.PRICE


def _compared(
    baseline: ScoredRun, candidate: ScoredRun, metric: Metric, notes: Sequence[str], plan: AnalysisPlan
) -> Comparison:
    """One metric's numbers; adjusted p and decision are still to come, for they need the family."""
    pairs = _paired(baseline.observations.get(metric.name, ()), candidate.observations.get(metric.name, ()))
    names, suite = (baseline.run.model, candidate.run.model), baseline.run.suite
    if not pairs.clusters:
        empty = _without_numbers(*names, suite, metric, ["no sample has a score in both runs", *notes])
        return replace(empty, unscored=pairs.unscored, unpaired=pairs.unpaired)
    differences = by_cluster(pairs.candidate - pairs.baseline, pairs.clusters)
    low, high = value_range(np.concatenate([pairs.baseline, pairs.candidate]))
    rng = _generator(plan.seed, suite, metric.name, names)
    estimate = difference_interval(
        differences, high - low, level=plan.level, resamples=plan.resamples, rng=rng
    )
    flips = _flips(pairs) if metric.kind == "binary" and pairs.samples == len(pairs.clusters) else None
    test = _tested(differences, flips, plan, rng)
    loss = price.measured(
        differences,
        high - low,
        metric,
        plan,
        rng=_generator(plan.seed, suite, metric.name, names),
    )
    return replace(
        _without_numbers(*names, suite, metric, notes),
        n=pairs.samples,
        scores=len(pairs.clusters),
        clusters=differences.count,
        unscored=pairs.unscored,
        unpaired=pairs.unpaired,
        baseline_mean=float(pairs.baseline.mean()),
        candidate_mean=float(pairs.candidate.mean()),
        difference=estimate.value,
        interval=estimate.interval,
        p=test.p,
        flips=flips,
        detectable=detectable(differences, high - low, binary=metric.kind == "binary", level=plan.level),
        method=f"{test.method}; {estimate.method}",
        could_be=difference_bounds(metric, baseline.observations, candidate.observations),
        loss=loss,
        alike=candidate.alike,
    )


def _paired(baseline: Sequence[Observation], candidate: Sequence[Observation]) -> _Pairs:
    left = {(seen.sample, seen.part): seen for seen in baseline}
    right = {(seen.sample, seen.part): seen for seen in candidate}
    ours, theirs = {sample for sample, _ in left}, {sample for sample, _ in right}
    shared = [key for key in dict.fromkeys([*left, *right]) if key[0] in ours and key[0] in theirs]
    scored: dict[tuple[str, int], tuple[float, float, str]] = {}
    for key in shared:
        one, other = left.get(key), right.get(key)
        if one and other and one.value is not None and other.value is not None:
            scored[key] = one.value, other.value, one.cluster
    return _Pairs(
        baseline=np.array([one for one, _, _ in scored.values()], dtype=np.float64),
        candidate=np.array([other for _, other, _ in scored.values()], dtype=np.float64),
        clusters=[cluster for _, _, cluster in scored.values()],
        samples=len({sample for sample, _ in scored}),
        unscored=len(shared) - len(scored),
        unpaired=len(ours ^ theirs),
    )


def _flips(pairs: _Pairs) -> Flips:
    before, after = pairs.baseline == 1, pairs.candidate == 1
    return Flips(
        won=int((~before & after).sum()),
        lost=int((before & ~after).sum()),
        both_right=int((before & after).sum()),
        both_wrong=int((~before & ~after).sum()),
    )


def _tested(
    differences: Clusters, flips: Flips | None, plan: AnalysisPlan, rng: np.random.Generator
) -> PairedTest:
    """McNemar where every cluster holds one binary score, else a permutation of whole clusters."""
    if flips and differences.singles:
        return PairedTest(mcnemar(flips.won, flips.lost), "exact McNemar test")
    return sign_flip(differences.sums, resamples=plan.resamples, rng=rng)


def _generator(seed: int, suite: str, metric: str, names: tuple[str, str]) -> np.random.Generator:
    """A generator of a comparison's own, the same in whatever company and direction it is compared."""
    what = json.dumps([seed, suite, metric, sorted(names)])
    return np.random.default_rng(int.from_bytes(hashlib.sha256(what.encode()).digest()[:16]))


def _adjusted(comparisons: Sequence[Comparison], plan: AnalysisPlan) -> list[Comparison]:
    """The same comparisons in the same order, corrected within their families and decided."""
    adjusted: dict[int, float] = {}
    for family in {each.family for each in comparisons}:
        raw = {
            index: each.p
            for index, each in enumerate(comparisons)
            if each.family == family and each.p is not None
        }
        adjusted |= zip(raw, holm(list(raw.values())), strict=True)
    compared = [
        _decided(each, adjusted[index], plan) if index in adjusted else each
        for index, each in enumerate(comparisons)
    ]
    return price.decided(compared, plan.alpha)


def _decided(comparison: Comparison, adjusted_p: float, plan: AnalysisPlan) -> Comparison:
    interval = comparison.interval
    assert interval is not None
    decision = decide_difference(
        interval, adjusted_p, plan.alpha, higher_is_better=comparison.metric.higher_is_better
    )
    return replace(comparison, adjusted_p=adjusted_p, decision=decision)


def _verdict(baseline: str, candidate: str, comparisons: Sequence[Comparison]) -> Verdict:
    headlines = [each for each in comparisons if each.metric.headline]
    prices = [] if headlines else [each for each in comparisons if each.metric.margin is not None]
    incomparable = [each for each in prices if each.loss is None]
    return Verdict(
        candidate=candidate,
        baseline=baseline,
        decision=price.overall(prices) if prices else _overall({each.decision for each in headlines}),
        comparisons=tuple(comparisons),
        reason="; ".join(
            [_reason([*headlines, *incomparable], price.clauses(comparisons)), *_alike(comparisons)]
        ),
    )


def _alike(comparisons: Sequence[Comparison]) -> Iterator[str]:
    """Each suite on which the candidate hardly is another model than the baseline."""
    found = {each.suite: each.alike for each in comparisons if each.alike is not None}
    yield from (alike.in_words(suite) for suite, alike in found.items())


def _overall(decisions: set[Decision]) -> Decision:
    """One decision over all headlines.

    A single headline that cannot be compared leaves the whole open: a candidate must not come out better
    because the suite it is worse in was left out.
    """
    if not decisions or Decision.NOT_COMPARABLE in decisions:
        return Decision.NOT_COMPARABLE
    if decisions >= {Decision.BETTER, Decision.WORSE}:
        return Decision.MIXED
    return next(iter(decisions - {Decision.NO_DIFFERENCE}), Decision.NO_DIFFERENCE)


def _reason(headlines: Sequence[Comparison], prices: Sequence[str]) -> str:
    """The headlines' outcomes in a sentence, what is shown first, then the price, then what was forced.

    Where there is no headline, what has a margin and cannot be compared is told in their place.
    """
    words = {
        Decision.BETTER: "better on",
        Decision.WORSE: "worse on",
        Decision.NO_DIFFERENCE: "no difference shown on",
    }
    clauses = [] if headlines or prices else ["no headline metric was compared"]
    for decision, opening in words.items():
        told = [_in_words(each) for each in headlines if each.decision == decision]
        if told:
            clauses.append(f"{opening} {', '.join(told)}")
    refused = list(_refused([each for each in headlines if each.decision is Decision.NOT_COMPARABLE]))
    if refused:
        clauses.append(f"not comparable on {', '.join(refused)}")
    forced = dict.fromkeys(note for each in headlines for note in each.notes if note.startswith("forced: "))
    return "; ".join([*clauses, *prices, *forced])


def _refused(comparisons: Sequence[Comparison]) -> Iterator[str]:
    """Why, once for all metrics of a suite of which it is the same."""
    metrics: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for each in comparisons:
        metrics.setdefault((each.suite, each.notes), []).append(each.metric.name)
    for (suite, notes), names in metrics.items():
        yield f"{suite} ({', '.join(names)}): {', '.join(notes)}"


def _in_words(comparison: Comparison) -> str:
    """What was found on a metric that has numbers."""
    interval = comparison.interval
    assert interval is not None
    size = f"{comparison.difference:+z.3f} [{interval.low:+z.3f}, {interval.high:+z.3f}]"
    found = f"{comparison.suite} ({comparison.metric.name} {size})"
    if comparison.could_turn and comparison.could_be is not None:
        least, most = comparison.could_be
        return f"{found}, though what is unscored could make it {least:+z.3f} to {most:+z.3f}"
    if comparison.decision != Decision.NO_DIFFERENCE:
        return found
    if comparison.detectable is None:
        return f"{found}: {_samples(comparison)} cannot show any"
    least_shown = f"±{comparison.detectable:.3f}" if comparison.detectable >= SHOWN else f"less than ±{SHOWN}"
    return f"{found}: {_samples(comparison)} would have shown {least_shown}"


def _samples(comparison: Comparison) -> str:
    """How many were compared, and how many are independent where not all are."""
    n, clusters = comparison.n, comparison.clusters
    return counted(n, "sample") + (f" in {counted(clusters, 'cluster')}" if clusters != n else "")
