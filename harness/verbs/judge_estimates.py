"""Estimates what judging would take, before any model is asked: calls, tokens and cost.

Prompts are made as they would be sent, from the stored answers. A missing answer is taken to be as long as
the model's others on average, or as its longest, where it has none. Tokens are estimated from characters.
Nothing is trained, loaded or asked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean

from harness.engine.identity import Identity
from harness.engine.opening import identify_model, is_reward_model
from harness.engine.services.rate_limits import CHARACTERS_PER_TOKEN
from harness.recorded import known_answers
from harness.records.answers import Response, Sample
from harness.records.models import Local, Model
from harness.records.preferences import Pair
from harness.store import Store
from harness.verbs.judge import JudgeRequest, check, judge_of
from harness.verbs.pairs import Kept, kept_answers
from harness.verbs.progress import Progress
from harness.verbs.project import Project
from suites.judge.costs import most_cost, usual_tokens
from suites.judge.forms import as_asked_last
from suites.judge.judges import Judge, requests_about, to_ask
from suites.judge.settings import JudgeSettings

NOT_TRAINED = Identity(fingerprint="", chat_template="")
"""Of a pipeline that has made no model yet: whatever it will be, nothing is kept of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgingEstimate:
    """What one judge would take for two models."""

    judge: str
    left: str
    right: str
    pairs: int
    identical: int
    """Pairs of equal answers, which are not judged."""
    calls: int
    """Requests to be sent, whose replies are not in the store."""
    recalled: int
    """Requests whose replies are in the store."""
    prompt_tokens: int
    completion_tokens: int
    """Estimates, both of them."""
    cost: float | None
    """The cost of these tokens; None: the judge has no price."""
    most: float | None
    """What it can cost at most, so that a budget of so much is never reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimates:
    """What a command would take."""

    prompts: str
    missing: dict[str, int]
    """The number of prompts that each model has not answered yet: the candidates are asked first."""
    estimates: tuple[JudgingEstimate, ...]
    currency: str
    budget: float | None


def estimate_judging(project: Project, names: Sequence[str], request: JudgeRequest) -> Estimates:
    """What `harness.verbs.judge.judge` would take with the same arguments. Raises as it does."""
    check(project, names, request)
    with project.store() as store:
        kept = kept_answers(project, names, store, prompts=request.prompts, sampling=request.sampling)
        judges = [_judge(project, name, request.settings) for name in request.judges]
        found = tuple(
            _estimate(project, each, kept, pair, store)
            for each in judges
            for pair in combinations(kept.answers, 2)
        )
    return Estimates(
        prompts=kept.prompts,
        missing={name: kept.size - len(answers) for name, answers in kept.answers.items()},
        estimates=found,
        currency=project.registry.prices.currency,
        budget=request.budget,
    )


def _judge(project: Project, name: str, settings: JudgeSettings) -> Judge:
    """The judge of this name. A pipeline that is not trained yet is judged by what it will end in."""
    if not project.has_candidate(name):
        model = Model(name=name, source=Local(path=""))
        rates = project.registry.pipelines[name].stages[-1].kind == "reward"
        return judge_of(project, model, NOT_TRAINED, settings, rates=rates)
    model = project.model(name, Progress())
    return judge_of(project, model, identify_model(model), settings, rates=is_reward_model(model))


def _estimate(
    project: Project, judge: Judge, kept: Kept, names: tuple[str, str], store: Store
) -> JudgingEstimate:
    left, right = names
    pairs = _pairs(kept, left, right)
    judge, _ = as_asked_last(judge, store, pairs)
    prompts = requests_about(judge, to_ask(judge, pairs))
    known = known_answers(store, list(prompts), ask_refused=project.ask_refused)
    new = [prompt for key, prompt in prompts.items() if key not in known]
    price = project.registry.prices.of.get(judge.name)
    prompt_tokens, completion_tokens = sum(map(usual_tokens, new)), judge.usual_tokens * len(new)
    return JudgingEstimate(
        judge=judge.name,
        left=left,
        right=right,
        pairs=len(pairs),
        identical=sum(pair.identical for pair in pairs),
        calls=len(new),
        recalled=len(known),
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        cost=None if price is None else price.of(prompt_tokens, completion_tokens),
        most=None if price is None else sum(most_cost(one, judge.sampling.max_tokens, price) for one in new),
    )


def _pairs(kept: Kept, left: str, right: str) -> list[Pair]:
    """Every pair that there will be, with stand-ins for answers and prompts that are not known yet."""
    unknown = (str(number) for number in range(kept.size - len(kept.samples)))
    samples = [*kept.samples.values(), *(Sample(id=f"unknown {name}", prompt=name) for name in unknown)]
    usual = {name: _usual_length(kept, name) for name in (left, right)}

    def answer(name: str, sample: Sample) -> Response:
        # the name makes stand-ins differ, as answers are expected to
        stand_in = Response(text=f"{name:x<{usual[name]}}", stop_reason="end")
        return kept.answers[name].get(sample.id, stand_in)

    return [
        Pair(
            sample=sample,
            left_run=kept.runs.get(left, left),
            right_run=kept.runs.get(right, right),
            left=answer(left, sample),
            right=answer(right, sample),
        )
        for sample in samples
    ]


def _usual_length(kept: Kept, name: str) -> int:
    """Characters of an answer."""
    lengths = [len(answer.text) for answer in kept.answers[name].values()]
    return round(fmean(lengths)) if lengths else kept.max_tokens * CHARACTERS_PER_TOKEN
