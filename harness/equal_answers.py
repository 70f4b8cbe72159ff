"""Finds models whose answers nearly all equal the baseline's, which explains why no difference was shown.

The usual reasons: training changed little, an adapter was not applied, or one folder has two names. Answers
are read side by side until enough of them differ, which is soon for two models that really differ: then the
first answer to each sample is enough.
"""

from collections.abc import Callable, Iterator

from harness.records.answers import LogLikelihood, Response, Row, Run, Sample
from harness.records.comparisons import EqualAnswers
from harness.store import Store

ONE_IN = 10
"""One sample in so many may have different answers, and the rest still count as nearly all."""
WITHIN = 0.001
"""Log-likelihoods that differ by less are equal: other batches round them differently."""
SPEAKERS, MODEL = "speakers", "the model"
"""The tag of samples that says who gave which response, and how it calls the model that was asked."""


def equal_answers(
    store: Store, baseline: Run, candidate: Run, *, left_out: Callable[[Sample], bool] = lambda sample: False
) -> EqualAnswers | None:
    """How many samples both runs answer alike; None where that is not nearly all, or they cannot be compared.

    A sample counts where all its texts, but for the white space around them, or all its log-likelihoods are
    equal. One that either model did not answer does not count.
    """
    if baseline.data_hash != candidate.data_hash or baseline.size != candidate.size:
        return None
    if _differ(store, baseline, candidate, left_out):
        return None
    equal, different, answers = 0, 0, 0
    has_texts = False
    for ours, theirs in zip(store.runs.rows(baseline.id), store.runs.rows(candidate.id), strict=False):
        pairs = list(_pairs(ours, theirs))
        if not pairs or left_out(ours.sample):
            continue
        answers = max(answers, len(pairs))
        has_texts = has_texts or isinstance(pairs[0][0], Response)
        if all(_are_equal(*pair) for pair in pairs):
            equal += 1
        else:
            different += 1
        if different * ONE_IN > baseline.size:
            return None
    if not equal or different * ONE_IN > equal + different:
        return None
    return EqualAnswers(equal=equal, samples=equal + different, answers=answers, of_texts=has_texts)


def _differ(store: Store, baseline: Run, candidate: Run, left_out: Callable[[Sample], bool]) -> bool:
    """Whether the first answers alone differ on too many samples."""
    different = 0
    for (sample, ours), (_, theirs) in zip(
        store.runs.first_answers(baseline.id), store.runs.first_answers(candidate.id), strict=False
    ):
        counts = _is_of_the_model(sample, 0) and not left_out(sample) and not _is_missing(ours, theirs)
        different += counts and not _are_equal(ours, theirs)
        if different * ONE_IN > baseline.size:
            return True
    return False


def _pairs(ours: Row, theirs: Row) -> Iterator[tuple[Response | LogLikelihood, Response | LogLikelihood]]:
    """The answers of both models to one sample, place by place; judges' replies are none."""
    for place, pair in enumerate(zip(ours.responses, theirs.responses, strict=False)):
        if _is_of_the_model(ours.sample, place) and not _is_missing(*pair):
            yield pair


def _is_of_the_model(sample: Sample, place: int) -> bool:
    speakers = sample.tags.get(SPEAKERS)
    return not isinstance(speakers, list) or speakers[place] == MODEL


def _is_missing(*pair: Response | LogLikelihood | None) -> bool:
    """Whether one of the two gave no answer."""
    return any(each is None or (isinstance(each, Response) and bool(each.unanswered)) for each in pair)


def _are_equal(one: Response | LogLikelihood | None, other: Response | LogLikelihood | None) -> bool:
    if isinstance(one, Response) and isinstance(other, Response):
        return one.text.strip() == other.text.strip()
    if isinstance(one, LogLikelihood) and isinstance(other, LogLikelihood):
        return one.logprob == other.logprob or abs(one.logprob - other.logprob) < WITHIN
    return False
