"""From two runs to a verdict: what may be compared, how it is paired, and what is decided."""

import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import nan

import numpy as np
import pytest

from harness.comparison.comparability import comparability, unused_system
from harness.comparison.paired import ScoredRun
from harness.comparison.verdicts import compare_all
from harness.environment import PACKAGES
from harness.observed import Observed
from harness.records.answers import Metric, Observation, Run
from harness.records.comparisons import Comparison, Decision, EqualAnswers, Flips
from harness.records.models import Json
from harness.stats.clusters import by_cluster
from harness.stats.plan import AnalysisPlan
from harness.stats.power import detectable_difference
from tests.harness.compared import compared

ACCURACY = Metric(name="accuracy", kind="binary", headline=True)
SCORE = Metric(name="score", kind="number", headline=True)
TOXIC = Metric(name="toxic", kind="number", headline=True, higher_is_better=False)
LENGTH = Metric(name="length", kind="number")


def run(model: str, **changed: object) -> Run:
    """A finished run of ten samples."""
    plain = Run(
        id=f"run-{model}",
        model=model,
        fingerprint=f"weights-{model}",
        suite="quiz",
        suite_version="1",
        metrics=(ACCURACY,),
        data_hash="sha256:1",
        settings={"chat_template": True, "sampling": {"temperature": 0.0}, "num_fewshot": 0},
        seed=0,
        environment={},
        size=10,
        started="2026-11-22T12:00:00+00:00",
        finished="2026-11-22T12:01:00+00:00",
    )
    return replace(plain, **changed)


def singles(values: Sequence[float | None]) -> Observed:
    """One score per sample."""
    return Observed.of(
        Observation(sample=f"q{number}", part=0, cluster=f"q{number}", value=value)
        for number, value in enumerate(values)
    )


def scored(
    model: str, values: Sequence[float | None], metric: Metric = ACCURACY, **changed: object
) -> ScoredRun:
    """A run of one metric with one score per sample."""
    observations = {metric.name: singles(values)}
    return ScoredRun(run=run(model, metrics=(metric,), **changed), observations=observations)


def only(comparisons: Sequence[Comparison]) -> Comparison:
    """The one there is."""
    (comparison,) = comparisons
    return comparison


def spread(mean: float, n: int = 60) -> list[float]:
    """Numbers that vary, of this mean."""
    noise = np.random.default_rng(n).normal(0, 0.05, n)
    return (mean + noise - noise.mean()).tolist()


# ---------------------------------------------------------------- what may be compared


def test_equal_conditions_need_no_word():
    """Nothing blocks and nothing is noted."""
    assert ([], []) == comparability(run("a"), run("b"))


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"suite": "exam"}, "suite: quiz for a but exam for b"),
        ({"suite_version": "2"}, "suite version: 1 for a but 2 for b"),
        ({"data_hash": "sha256:2"}, "data: sha256:1 for a but sha256:2 for b"),
        ({"size": 9}, "number of samples: 10 for a but 9 for b"),
        (
            {"settings": {"chat_template": True, "sampling": {"temperature": 0.7}, "num_fewshot": 0}},
            "setting sampling.temperature: 0.0 for a but 0.7 for b",
        ),
        (
            {"settings": {"chat_template": True, "sampling": {"temperature": 0.0}}},
            "setting num_fewshot: 0 for a but null for b",
        ),
    ],
)
def test_what_differs_is_named_with_both_values(changed: Mapping[str, object], reason: str):
    """Each difference that makes numbers incomparable is a reason of its own."""
    assert ([reason], []) == comparability(run("a"), run("b", **changed))


@pytest.mark.parametrize(
    ("suite", "engine", "named"),
    [
        ("mine", {"engine": "local"}, "torch transformers tokenizers"),
        ("mine", {"engine": "local", "adapter": True}, "torch transformers tokenizers peft"),
        ("mine", {"engine": "vllm"}, "torch transformers tokenizers vllm"),
        ("mine", {"engine": "endpoint"}, ""),
        ("ifeval:short", {"engine": "endpoint"}, "lm_eval"),
        ("lm_eval:piqa", {"engine": "gemini"}, "lm_eval"),
        ("lighteval:piqa", {"engine": "endpoint"}, "lighteval"),
        ("deepeval:kind", {"engine": "endpoint"}, "deepeval"),
        ("toy-toxicity", {"engine": "endpoint"}, "detoxify torch transformers tokenizers"),
    ],
)
def test_only_packages_that_a_run_depends_on_are_noted(suite: str, engine: Mapping[str, Json], named: str):
    """What another suite needs, what trains, and what statistics are computed with moves no number of it."""
    older, newer = ({"packages": dict.fromkeys(PACKAGES, v), "engine": engine} for v in ("1", "2"))
    one, other = run("a", suite=suite, environment=older), run("b", suite=suite, environment=newer)
    _, notes = comparability(one, other)

    expected = sorted(f"packages.{name}: 1 for a but 2 for b" for name in ["harness", *named.split()])
    assert expected == notes


def test_a_long_hash_is_short_in_a_sentence():
    """Twelve digits tell two apart; the conditions have all of them."""
    one, other = run("a", data_hash=f"sha256:{'ab' * 32}"), run("b", data_hash=f"sha256:{'cd' * 32}")

    assert ["data: sha256:abababababab for a but sha256:cdcdcdcdcdcd for b"] == comparability(one, other)[0]


def test_settings_compare_as_the_store_gives_them_back():
    """A tuple became a list on its way through JSON."""
    kept, fresh = ({"stop": ["\n"]}, {"stop": ("\n",)})

    assert ([], []) == comparability(run("a", settings=kept), run("b", settings=fresh))


@pytest.mark.parametrize(
    ("changed", "note"),
    [
        (
            {"settings": {"chat_template": False, "sampling": {"temperature": 0.0}, "num_fewshot": 0}},
            "chat template applied: true for a but false for b",
        ),
        ({"seed": 1}, "seed: 0 for a but 1 for b"),
        ({"environment": {"packages": {"torch": "2.13"}}}, "packages.torch: null for a but 2.13 for b"),
        ({"environment": {"engine": {"device": "cuda"}}}, "engine.device: null for a but cuda for b"),
        (
            {"environment": {"engine": {"scoring": "padded batches"}}},
            "engine.scoring: null for a but padded batches for b",
        ),
        (
            {"environment": {"engine": {"tokenizer": "the adapter's"}}},
            "engine.tokenizer: the model's for a but the adapter's for b",
        ),
        ({"environment": {"engine": {"gguf": "Q4_1"}}}, "engine.gguf: none for a but Q4_1 for b"),
        ({"finished": None}, "the run of b is not finished"),
    ],
)
def test_what_a_reader_must_know_is_noted(changed: Mapping[str, object], note: str):
    """These differences do not forbid a comparison."""
    assert ([], [note]) == comparability(run("a"), run("b", **changed))


def test_how_models_are_asked_is_noted_in_words():
    """Thinking, system prompts and the like, each with what it means where nothing is said."""
    engine = {"thinking": False, "system": "Be brief.", "template_arguments": {"effort": "low"}}
    thinks = run("a", environment={"engine": {"thinking": True}})
    assert ["thinking: on for a but left to the model for b"] == comparability(thinks, run("b"))[1]

    assert (
        [],
        [
            "thinking: left to the model for a but off for b",
            "system prompt: none for a but Be brief. for b",
            'arguments of the chat template: none for a but {"effort": "low"} for b',
        ],
    ) == comparability(run("a"), run("b", environment={"engine": engine}))


def test_a_system_prompt_that_stands_nowhere_is_noted():
    """Bare texts have no place for it, which would otherwise be seen by nobody."""
    environment: Mapping[str, Json] = {"engine": {"system": "Be brief."}}
    bare = [run(name, settings={"chat_template": False}, environment=environment) for name in ("a", "b")]

    _, (first, second) = comparability(*bare)

    assert "the system prompt of a stands before no prompt of quiz, which asks in bare texts, " in first
    assert first.endswith("without a chat template")
    assert "the system prompt of b" in second
    assert unused_system(run("a", environment=environment)) is None


def test_what_moves_no_number_is_not_noted():
    """Memory and kernel are recorded, and nobody needs to read them here."""
    environment: Mapping[str, Json] = {"memory_gib": 16, "system": "Linux 6", "engine": {"parameters": 3}}

    assert ([], []) == comparability(run("a"), run("b", environment=environment))


def test_runs_that_differ_are_refused():
    """No number is given, and the reasons are."""
    found = only(compared(scored("a", [1.0] * 10), scored("b", [0.0] * 10, suite_version="2")))

    assert Decision.NOT_COMPARABLE == found.decision
    assert (None, None, None, None) == (found.difference, found.interval, found.p, found.adjusted_p)
    assert ("suite version: 1 for a but 2 for b",) == found.notes
    assert "b vs a on quiz/accuracy: NOT COMPARABLE: suite version: 1 for a but 2 for b" == found.sentence()


def test_a_forced_comparison_says_so():
    """Numbers, and the reason against them in the note and in the verdict."""
    baseline, candidate = scored("a", [1.0] * 10), scored("b", [0.0] * 10, suite_version="2")
    (verdict,) = compare_all([baseline], {"b": [candidate]}, AnalysisPlan(force=True))

    assert -1.0 == only(verdict.comparisons).difference
    assert ("forced: suite version: 1 for a but 2 for b",) == only(verdict.comparisons).notes
    assert verdict.reason.endswith("; forced: suite version: 1 for a but 2 for b")


# ---------------------------------------------------------------- how it is paired


def test_flips_and_means_of_binary_pairs():
    """8 won, 2 lost, 3 right in both, 2 wrong in both: the exact p is .109375."""
    before = [0.0] * 8 + [1.0] * 2 + [1.0] * 3 + [0.0] * 2
    after = [1.0] * 8 + [0.0] * 2 + [1.0] * 3 + [0.0] * 2
    found = only(compared(scored("a", before), scored("b", after)))

    assert Flips(won=8, lost=2, both_right=3, both_wrong=2) == found.flips
    assert (0.109375, 0.109375, Decision.NO_DIFFERENCE) == (found.p, found.adjusted_p, found.decision)
    assert (5 / 15, 11 / 15, 6 / 15) == (found.baseline_mean, found.candidate_mean, found.difference)
    assert (15, 15, 0, 0) == (found.n, found.clusters, found.unscored, found.unpaired)
    assert found.method.startswith("exact McNemar test; ")


def test_unscored_is_counted_and_left_out():
    """None on either side takes the pair out of both means: it is no zero."""
    found = only(compared(scored("a", [1.0, None, 1.0, 0.0]), scored("b", [None, 1.0, 1.0, 1.0])))

    assert (2, 2, 0) == (found.n, found.unscored, found.unpaired)
    assert (0.5, 1.0) == (found.baseline_mean, found.candidate_mean)


def test_samples_of_one_run_alone_are_counted():
    """They are neither paired nor unscored."""
    found = only(compared(scored("a", [1.0] * 10), scored("b", [1.0] * 7)))

    assert (7, 0, 3) == (found.n, found.unscored, found.unpaired)


def test_the_order_of_rows_does_not_matter():
    """Samples pair by id, in whatever order the store gives them."""
    before, after = scored("a", spread(0.3), SCORE), scored("b", spread(0.4), SCORE)
    shuffled = replace(after, observations={"score": Observed.of(list(after.observations["score"])[::-1])})

    assert compared(before, after) == compared(before, shuffled)


def test_parts_pair_by_place_and_form_a_cluster():
    """25 draws of 12 prompts are 300 scores and 12 units; a permutation of whole prompts tests them."""

    def drawn(model: str, good: int) -> ScoredRun:
        observations = [
            Observation(
                sample=f"p{prompt}", part=part, cluster=f"p{prompt}", value=float(part < good + prompt)
            )
            for prompt in range(12)
            for part in range(25)
        ]
        return ScoredRun(run=run(model), observations={"accuracy": Observed.of(observations)})

    found = only(compared(drawn("a", 3), drawn("b", 5)))

    assert (12, 300, 12, None) == (found.n, found.scores, found.clusters, found.flips)
    assert found.sentence().endswith("n = 12")
    assert 2 / 2**12 == found.p
    assert found.method.startswith("sign-flip permutation test, exact")


def test_a_part_that_only_one_run_has_is_unscored():
    """A failed answer leaves one unscored score where the other run has two."""
    whole = [Observation(sample="q", part=part, cluster="q", value=1.0) for part in (0, 1)]
    failed = [Observation(sample="q", part=0, cluster="q", value=None)]
    found = only(
        compared(
            ScoredRun(run=run("a"), observations={"accuracy": Observed.of(whole)}),
            ScoredRun(run=run("b"), observations={"accuracy": Observed.of(failed)}),
        )
    )

    assert (0, 2, 0) == (found.n, found.unscored, found.unpaired)


def test_nothing_paired_cannot_be_compared():
    """That is not the same as no difference."""
    found = only(compared(scored("a", [None, 1.0]), scored("b", [1.0, None])))

    assert (Decision.NOT_COMPARABLE, 2) == (found.decision, found.unscored)
    assert ("no sample has a score in both runs",) == found.notes


def test_samples_that_share_a_cluster_are_no_independent_pairs():
    """Flips are counted, but McNemar's test would take ten variants of a question for ten questions."""
    before = [Observation(sample=f"q{n}", part=0, cluster=f"topic{n // 10}", value=0.0) for n in range(20)]
    after = [replace(seen, value=1.0) for seen in before]
    found = only(
        compared(
            ScoredRun(run=run("a"), observations={"accuracy": Observed.of(before)}),
            ScoredRun(run=run("b"), observations={"accuracy": Observed.of(after)}),
        )
    )

    assert (20, 2, 20) == (found.n, found.clusters, found.flips and found.flips.won)
    assert 0.5 == found.p
    [verdict] = compare_all(
        [ScoredRun(run=run("a"), observations={"accuracy": Observed.of(before)})],
        {"b": [ScoredRun(run=run("b"), observations={"accuracy": Observed.of(before[:1] + after[1:])})]},
    )
    assert "20 samples in 2 clusters cannot show any" in verdict.reason


def test_nan_is_a_defect():
    """It must have become an unscored sample long before."""
    with pytest.raises(ValueError, match="NaN"):
        compared(scored("a", [1.0, nan]), scored("b", [1.0, 1.0]))


# ---------------------------------------------------------------- what is decided


@pytest.mark.parametrize(
    ("metric", "after", "decision"),
    [
        (SCORE, 0.5, Decision.BETTER),
        (SCORE, 0.1, Decision.WORSE),
        (SCORE, 0.3, Decision.NO_DIFFERENCE),
        (TOXIC, 0.5, Decision.WORSE),
        (TOXIC, 0.1, Decision.BETTER),
    ],
)
def test_the_metric_says_which_way_is_better(metric: Metric, after: float, decision: Decision):
    """A rise is better only where higher is better."""
    found = only(compared(scored("a", spread(0.3), metric), scored("b", spread(after)[::-1], metric)))

    assert decision == found.decision


def test_exchanging_the_runs_mirrors_the_comparison():
    """Better becomes worse with the same p and the mirrored interval."""
    one, other = scored("a", spread(0.3), SCORE), scored("b", spread(0.32)[::-1], SCORE)
    forth, back = only(compared(one, other)), only(compared(other, one))

    assert forth.interval is not None
    assert back.interval is not None
    assert (forth.interval.low, forth.interval.high) == (-back.interval.high, -back.interval.low)
    assert (forth.p, forth.difference) == (back.p, -(back.difference or 0))


def test_company_changes_the_adjusted_p_and_no_other_number():
    """Of two headline tests of 0.015625 and 1, Holm doubles the smaller."""
    before, seven = scored("a", [0.0] * 20), scored("b", [1.0] * 7 + [0.0] * 13)
    alone = compare_all([before], {"b": [seven]})[0].comparisons[0]
    together = compare_all([before], {"b": [seven], "c": [scored("c", [0.0] * 20)]})[0].comparisons[0]

    assert (0.015625, 0.015625, 0.03125) == (alone.p, alone.adjusted_p, together.adjusted_p)
    assert replace(alone, adjusted_p=0.03125) == together


def test_many_looks_take_a_small_p_away():
    """7 won of 20 is shown alone, and not as the best of four candidates."""
    before, same = scored("a", [0.0] * 20), [0.0] * 20
    candidates = {"b": [scored("b", [1.0] * 7 + [0.0] * 13)]}
    others = {name: [scored(name, same)] for name in "cde"}

    assert Decision.BETTER == compare_all([before], candidates)[0].decision
    assert Decision.NO_DIFFERENCE == compare_all([before], candidates | others)[0].decision


def test_exploratory_metrics_are_a_family_of_their_own():
    """They neither cost the headlines power nor enter the verdict."""
    metrics = (ACCURACY, LENGTH)

    def both(model: str, right: Sequence[float], lengths: Sequence[float]) -> ScoredRun:
        observations = {"accuracy": singles(right), "length": singles(lengths)}
        return ScoredRun(run=run(model, metrics=metrics), observations=observations)

    before = both("a", [0.0] * 20, spread(50.0, 20))
    after = both("b", [0.0] * 20, spread(90.0, 20)[::-1])
    (verdict,) = compare_all([before], {"b": [after]})
    accuracy, length = verdict.comparisons

    assert ("headline", "exploratory") == (accuracy.family, length.family)
    assert (Decision.NO_DIFFERENCE, Decision.BETTER) == (accuracy.decision, length.decision)
    assert length.p == length.adjusted_p
    assert Decision.NO_DIFFERENCE == verdict.decision


LOW, SAME, HIGH = [1.0] * 10 + [0.0] * 30, [1.0] * 20 + [0.0] * 20, [1.0] * 30 + [0.0] * 10


@pytest.mark.parametrize(
    ("quiz", "exam", "decision"),
    [
        (HIGH, HIGH, Decision.BETTER),
        (HIGH, SAME, Decision.BETTER),
        (SAME, LOW, Decision.WORSE),
        (HIGH, LOW, Decision.MIXED),
        (SAME, SAME, Decision.NO_DIFFERENCE),
    ],
)
def test_a_verdict_rests_on_all_headlines(quiz: list[float], exam: list[float], decision: Decision):
    """Better somewhere and nowhere worse is better."""
    baseline = [scored("a", SAME), scored("a", SAME, suite="exam")]
    (verdict,) = compare_all(baseline, {"b": [scored("b", quiz), scored("b", exam, suite="exam")]})

    assert decision == verdict.decision


def test_a_headline_that_cannot_be_compared_leaves_the_verdict_open():
    """A candidate is not better because the suite it may be worse in was left out."""
    baseline = [scored("a", SAME), scored("a", SAME, suite="exam")]
    (verdict,) = compare_all(baseline, {"b": [scored("b", HIGH)]})

    assert Decision.NOT_COMPARABLE == verdict.decision
    assert [Decision.BETTER, Decision.NOT_COMPARABLE] == [each.decision for each in verdict.comparisons]
    assert verdict.reason.endswith("; not comparable on exam (accuracy): b has no run of this suite")


def test_no_headline_is_no_verdict():
    """What is only exploratory decides nothing."""
    (verdict,) = compare_all([scored("a", spread(5.0), LENGTH)], {"b": [scored("b", spread(9.0), LENGTH)]})

    assert (Decision.NOT_COMPARABLE, "no headline metric was compared") == (verdict.decision, verdict.reason)


def test_the_reason_is_a_sentence():
    """What was shown, by how much, and what could have been."""
    baseline = [scored("a", SAME), scored("a", SAME, suite="exam")]
    candidate = [scored("b", SAME), scored("b", [1.0] * 29 + [0.0] * 11, suite="exam")]
    (verdict,) = compare_all(baseline, {"b": candidate})

    assert (
        "better on exam (accuracy +0.225 [+0.118, +0.375]); "
        "no difference shown on quiz (accuracy +0.000 [-0.088, +0.088]): 40 samples would have shown ±0.190"
    ) == verdict.reason


@pytest.mark.parametrize(("unscored", "turns"), [(12, True), (8, False), (0, False)])
def test_what_is_unscored_may_turn_a_verdict(unscored: int, turns: bool):
    """Nine prompts of 40 were won: twelve more without a score could have been twelve losses."""
    before = [1.0] * 20 + [0.0] * 20 + [1.0] * unscored
    after = [1.0] * 29 + [0.0] * 11 + [None] * unscored
    (verdict,) = compare_all([scored("a", before)], {"b": [scored("b", after)]})
    (comparison,) = verdict.comparisons

    assert Decision.BETTER == verdict.decision
    pairs = 40 + unscored
    expected = ((9 - unscored) / pairs, 9 / pairs) if unscored else None
    assert expected == (comparison.difference_bounds and pytest.approx(comparison.difference_bounds))
    assert turns == comparison.depends_on_unscored
    assert turns == verdict.reason.endswith("though what is unscored could make it -0.058 to +0.173")
    assert turns == ("unscored" in verdict.reason)


def test_what_forbids_is_told_once_for_all_metrics_of_a_suite():
    """And nothing that only is to be known stands beside it."""
    metrics = (ACCURACY, SCORE)
    one = ScoredRun(run=run("a", metrics=metrics), observations={})
    changed = run("b", metrics=metrics, suite_version="2", seed=1)
    [verdict] = compare_all([one], {"b": [ScoredRun(run=changed, observations={})]})

    assert "not comparable on quiz (accuracy, score): suite version: 1 for a but 2 for b" == verdict.reason


def test_no_minus_before_zeros():
    """A difference that rounds to nothing has no sign of its own, nor do the ends of its interval."""
    before = [0.5, 0.6] * 20
    found = only(compared(scored("a", before, SCORE), scored("b", [x - 1e-7 for x in before], SCORE)))

    assert found.difference is not None
    assert found.difference < 0
    assert "-0.000" not in found.sentence()


def test_what_could_have_been_shown_is_never_nothing():
    """Scores that hardly vary can show less than three decimals have room for; one sample is no samples."""
    before = [0.5, 0.6] * 20
    noise = [x + 1e-6 * (-1) ** (n // 2) for n, x in enumerate(before)]
    [verdict] = compare_all([scored("a", before, SCORE)], {"b": [scored("b", noise, SCORE)]})
    [alone] = compare_all([scored("a", [1.0])], {"b": [scored("b", [1.0])]})

    assert verdict.reason.endswith("40 samples would have shown less than ±0.001")
    assert alone.reason.endswith("1 sample cannot show any")


def test_the_same_seed_gives_the_same_numbers():
    """And another one others, where anything was drawn."""
    one, other = scored("a", spread(0.3), SCORE), scored("b", spread(0.32)[::-1], SCORE)

    assert compared(one, other, AnalysisPlan(seed=1)) == compared(one, other, AnalysisPlan(seed=1))
    assert (
        only(compared(one, other, AnalysisPlan(seed=1))).interval
        != only(compared(one, other, AnalysisPlan(seed=2))).interval
    )


def test_comparing_needs_no_heavy_library():
    """A second `harness compare` has three seconds: scipy alone would take half of one."""
    heavy = {"scipy", "pandas", "torch", "transformers", "datasets", "lm_eval", "statsmodels"}
    script = f"import sys, harness.comparison.verdicts; print(sorted(set({heavy}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert "[]" == done.stdout.strip()


def test_a_verdict_says_whose_it_is():
    """Candidate and baseline, also of a suite that only one of them was asked."""
    (both,) = compare_all([scored("a", SAME)], {"b": [scored("b", HIGH), scored("b", HIGH, suite="exam")]})
    lonely = both.comparisons[-1]

    assert ("b", "a") == (both.candidate, both.baseline)
    assert ("b", "a", "exam") == (lonely.candidate, lonely.baseline, lonely.suite)
    assert ("a has no run of this suite",) == lonely.notes


def test_clauses_of_a_reason_are_joined():
    """Metrics by commas and clauses by semicolons; worse is said as better is."""
    suites = ("quiz", "exam", "more", "rest")
    baseline = [scored("a", SAME, suite=suite) for suite in suites]
    changed = [LOW, LOW, HIGH, HIGH]
    candidate = [scored("b", scores, suite=suite) for suite, scores in zip(suites, changed, strict=True)]
    (verdict,) = compare_all(
        [*baseline, scored("a", SAME, suite="x"), scored("a", SAME, suite="y")], {"b": candidate}
    )
    better, worse, absent = verdict.reason.split("; ")

    assert re.fullmatch(r"better on more \(accuracy [^)]*\), rest \(accuracy [^)]*\)", better)
    assert re.fullmatch(r"worse on quiz \(accuracy [^)]*\), exam \(accuracy [^)]*\)", worse)
    none = "b has no run of this suite"
    assert f"not comparable on x (accuracy): {none}, y (accuracy): {none}" == absent


def test_several_notes_against_a_suite_are_joined():
    """By commas."""
    other = run("b", suite_version="2", data_hash="sha256:2")
    (verdict,) = compare_all([scored("a", SAME)], {"b": [ScoredRun(run=other, observations={})]})
    notes = only(verdict.comparisons).notes

    assert 2 == len(notes)
    assert f"not comparable on quiz (accuracy): {notes[0]}, {notes[1]}" == verdict.reason


def test_what_cannot_be_paired_is_counted_and_named():
    """Of samples that only one run has, and of a run without the metric."""
    apart = scored("b", [1.0] * 3)
    others = Observed.of(replace(seen, sample=f"z{seen.sample}") for seen in singles([1.0] * 3))
    apart = replace(apart, observations={"accuracy": others})
    found = only(compared(scored("a", [1.0] * 2), apart))
    missing = only(compared(scored("a", [1.0] * 2), replace(apart, observations={})))

    assert (Decision.NOT_COMPARABLE, "quiz", 5) == (found.decision, found.suite, found.unpaired)
    assert ("a", "b", 2) == (missing.baseline, missing.candidate, missing.unpaired)
    assert 2 == only(compared(replace(scored("a", []), observations={}), scored("b", [1.0] * 2))).unpaired


def test_both_wrong_is_neither_lost_nor_right():
    """3 wrong in both, and 1 lost."""
    before, after = [0.0] * 3 + [1.0], [0.0] * 4
    found = only(compared(scored("a", before), scored("b", after)))

    assert Flips(won=0, lost=1, both_right=0, both_wrong=3) == found.flips


def test_scores_below_zero_have_a_range_too():
    """Scores from -1 to 1 have twice the interval of the same scores from 0 to 1."""
    before, after = [-1.0, 1.0] * 15, [-1.0, 1.0] * 14 + [1.0, 1.0]
    whole = only(compared(scored("a", before, SCORE), scored("b", after, SCORE))).interval
    halves = [[(score + 1) / 2 for score in scores] for scores in (before, after)]
    half = only(compared(scored("a", halves[0], SCORE), scored("b", halves[1], SCORE))).interval

    assert whole is not None
    assert half is not None
    assert (2 * half.low, 2 * half.high) == pytest.approx((whole.low, whole.high))


def test_a_comparison_draws_numbers_of_its_own():
    """Those of another suite, metric or pair of models are others; the order of the models is no matter."""
    before, after = spread(0.3), [*spread(0.36, 59), 0.2]

    def interval(baseline: str, candidate: str, metric: Metric, suite: str) -> tuple[float, float]:
        one, other = (
            scored(baseline, before, metric, suite=suite),
            scored(candidate, after, metric, suite=suite),
        )
        found = only(compared(one, other)).interval
        return (found.low, found.high)

    other = Metric(name="other", kind="number", headline=True)
    plain = interval("a", "b", SCORE, "quiz")
    assert plain == interval("b", "a", SCORE, "quiz")
    drawn = {
        plain,
        interval("a", "b", SCORE, "exam"),
        interval("a", "b", other, "quiz"),
        interval("a", "c", SCORE, "quiz"),
    }
    assert 4 == len(drawn)


def test_nothing_compared_counts_nothing():
    """Every count is 0, and the method says so."""
    found = only(compared(scored("a", [1.0]), scored("b", [1.0], suite_version="2")))

    counts = found.n, found.scores, found.clusters, found.unscored, found.unpaired
    assert ((0, 0, 0, 0, 0), "not compared") == (counts, found.method)


@pytest.mark.parametrize("metric", [ACCURACY, SCORE])
def test_what_could_have_been_shown_is_of_the_metrics_kind(metric: Metric):
    """Binary scores by flips, numbers by their spread; a range from -1 to 1 is one of 2."""
    before, after = [0.0, 1.0] * 20, [1.0, 1.0, 0.0, 0.0] * 10
    differences = by_cluster(np.array(after) - before, range(40))
    found = only(compared(scored("a", before, metric), scored("b", after, metric)))
    binary = metric.kind == "binary"

    by_kind = detectable_difference(differences, 1.0, binary=binary, level=0.95)
    by_other = detectable_difference(differences, 1.0, binary=not binary, level=0.95)
    assert by_kind == found.detectable_difference != by_other

    few, same = [-1.0] * 38 + [1.0] * 2, [-1.0] * 40
    wide = only(compared(scored("a", same, SCORE), scored("b", few, SCORE)))
    by_hand = detectable_difference(
        by_cluster(np.array(few) - same, range(40)), 2.0, binary=False, level=0.95
    )
    assert by_hand == wide.detectable_difference


def test_a_candidate_that_hardly_differs_is_named_suite_by_suite():
    """What answers say of two models stands in the comparison and in the verdict."""
    alike = EqualAnswers(equal=39, samples=40, answers=1, of_texts=True)
    candidate = replace(scored("b", SAME), equal_answers=alike)
    (verdict,) = compare_all([scored("a", SAME)], {"b": [candidate]})

    assert alike == only(verdict.comparisons).equal_answers
    assert verdict.reason.endswith(f"; {alike.in_words('quiz')}")


def test_settings_in_another_order_are_the_same():
    """Also within a list."""
    one, other = ({"stop": [dict(pairs)]} for pairs in ([("a", 1), ("b", 2)], [("b", 2), ("a", 1)]))
    assert ([], []) == comparability(run("a", settings=one), run("b", settings=other))


@pytest.mark.parametrize("key", ["device", "dtype", "scoring"])
def test_what_an_engine_computes_with_is_noted(key: str):
    """And the processor."""
    environments = ({"engine": {key: value}, "processor": value} for value in ("one", "two"))
    _, notes = comparability(*(run(n, environment=e) for n, e in zip("ab", environments, strict=True)))

    assert [f"engine.{key}: one for a but two for b", "processor: one for a but two for b"] == notes
