"""The nouns: what things are, on one screen, with the standard library only.

All are frozen, so that whoever holds one knows it will not change under them. Mappings inside them hold
JSON values and are treated as read-only.

It does not know who answers, where results are kept, or what a difference means.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Literal, cast

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]

# ---------------------------------------------------------------- who answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """A model that this machine loads."""

    path: str
    """A folder, or a hub id."""
    revision: str | None = None
    """A hub commit, tag or branch; None is the hub's default."""
    adapter: str | None = None
    """A PEFT adapter's folder or hub id, applied on top."""
    dtype: str = "auto"
    """`float32`, `bfloat16`, `float16`, or `auto`: the checkpoint's own."""
    backend: Literal["transformers", "vllm"] = "transformers"
    """The library that runs it; vllm is an extra, and wants a GPU."""
    trust_remote_code: bool = False
    """Whether code that comes with the model may run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """How a service is asked: how much at once, how fast, how patiently. Changes no answer."""

    concurrency: int = 16
    """Requests on their way at once."""
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    """Limits of the service, prompt and answer together; None: it has none."""
    timeout: float = 300.0
    """Seconds for one whole answer."""
    retries: int = 6
    """Further tries of a request that failed in a way that may mend."""
    max_reply_megabytes: float = 32.0
    """No more of one answer is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A model behind an OpenAI-compatible server."""

    url: str
    model: str
    api: Literal["chat", "completions"] = "chat"
    """`chat`: it takes turns, and the server applies the chat template; `completions`: text only."""
    key_env: str | None = None
    """The environment variable that holds the key; the key itself is never in a file."""
    traffic: Traffic = Traffic()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gemini:
    """A model behind Google's Gemini interface."""

    model: str
    key_env: str = "GEMINI_API_KEY"
    url: str | None = None
    """Another address of the interface, such as a proxy's; None: Google's own."""
    traffic: Traffic = Traffic()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """A model that a third party's engine answers for (entry point group `harness.engines`)."""

    engine: str
    settings: Mapping[str, Json] = field(default_factory=dict)


Source = Local | Endpoint | Gemini | Plugin


MANNER = ("thinking", "template_arguments", "system", "thinking_tokens", "thinking_tags")
"""What a model's section can say of how it is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """Something that can be asked. A judge is a Model, and so is a finished pipeline."""

    name: str
    source: Source
    chat_template: str | None = None
    """A Jinja template's text that replaces the tokenizer's own; None keeps the tokenizer's."""
    thinking: bool | None = None
    """Whether it thinks before it answers; None leaves it to the model."""
    template_arguments: Mapping[str, Json] = field(default_factory=dict)
    """What its chat template is given besides the turns."""
    system: str | None = None
    """A system prompt, put before every conversation."""
    thinking_tokens: int | None = None
    """Room for thoughts beside the length that a suite gives an answer; None: they share it."""
    thinking_tags: tuple[str, str] | None = None
    """What its thoughts stand between, besides the tags that are known."""

    @property
    def manner(self) -> Mapping[str, Json]:
        """How it is asked, as far as its section says: a part of what its answers depend on."""
        said = {name: getattr(self, name) for name in MANNER}
        return {name: value for name, value in said.items() if value not in (None, {})}

    def trained(self, name: str, folder: str) -> "Model":
        """What was trained from it, in this folder: asked in the same manner, with the folder's template."""
        return replace(self, name=name, source=Local(path=folder), chat_template=None)


# ---------------------------------------------------------------- how a candidate is made


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One training step of a pipeline."""

    kind: str
    """A name of the stage table: `pretrain`, `sft`, `reward`, `grpo`, `rloo`, `dpo`, …"""
    data: tuple[str, ...] = ()
    """Where its training rows come from, each `mix:NAME`, `toy:NAME`, a file, or a hub id."""
    reward: str | None = None
    """For stages that need one: a pipeline ending in a reward stage, a model, or `module:function`."""
    settings: Mapping[str, Json] = field(default_factory=dict)
    """Whole: every setting of the kind with its value, defaults included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MixSource:
    """One of the places that a mix takes rows from."""

    data: str
    """`toy:NAME`, a file, or a hub id (`ID`, `ID:SPLIT`, `ID:CONFIGURATION:SPLIT`)."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """What the source calls a column, by the schema's name for it."""
    count: int | None = None
    """Exactly so many rows, of those that are left after cleaning."""
    weight: float | None = None
    """In which proportion to the mix's other weighted sources. Neither: all that are left."""
    licence: str | None = None
    """In the user's words, for the data card."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """Training rows from several sources, cleaned and drawn: what a stage's data `mix:NAME` stand for."""

    name: str
    rows: Literal["texts", "demonstrations", "preferences", "prompts"]
    """The one shape that its rows get, whatever the sources' schemas are."""
    sources: tuple[MixSource, ...]
    deduplicate: Literal["near", "exact", "none"] = "near"
    similarity: float = 0.8
    """From this Jaccard similarity on, rows are near-duplicates."""
    min_characters: int = 1
    """Of a row's turns or text together; shorter rows are left out."""
    max_characters: int | None = None
    decontaminate: tuple[str, ...] | None = None
    """The suites whose prompts no row may hold; None: every suite that is known."""
    seed: int = 0
    """Which rows are drawn, and their order; not the project's seed, so that other trainings see the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """An ordered chain of stages. Once run, it is a Model under the pipeline's name."""

    name: str
    base: str | None
    """A model or another pipeline; None for a chain that begins from nothing (`pretrain`)."""
    stages: tuple[Stage, ...]


# ---------------------------------------------------------------- what is asked, and what came back


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What a model is asked to continue."""

    content: str | tuple[Message, ...]
    """Text to be continued as it is, or turns that the engine renders with the model's chat template."""
    draw: int = 0
    """Which of several samples of the same content this is; part of the request's identity."""
    schema: str | None = None
    """A JSON schema, as JSON text, that the service holds the answer to; part of the request's identity.

    Only for models that `harness.engine.opening.takes_schema` says it of.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How an answer is drawn. Part of every answer's identity in the store."""

    max_tokens: int
    temperature: float = 0.0
    """0 is greedy decoding, and then `top_p`, `top_k` and `seed` change nothing."""
    top_p: float = 1.0
    top_k: int = 0
    """0 keeps the whole vocabulary."""
    stop: tuple[str, ...] = ()
    """An answer ends before the first of these strings, which is not part of it."""
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A generated answer."""

    text: str
    """The answer alone, without the thoughts before it."""
    stopped: Literal["end", "length", "thinking", "refused", "failed"]
    """`thinking`: its tokens ran out before the thought ended, so there is no answer."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    truncated: int = 0
    """Tokens cut from the left of the prompt because it did not fit."""
    reason: str | None = None
    """Why, where there is no answer."""
    thought: str | None = None
    """What the model wrote before its answer, for people who read the report. None: it wrote none."""
    key: str = ""
    """The hash it is kept under in the store; empty where it is not kept."""

    @property
    def unanswered(self) -> str | None:
        """Why there is nothing to score, judge or rate; None where there is an answer, cut or whole."""
        if self.stopped in ("end", "length"):
            return None
        return f"{self.stopped}: {self.reason or 'no reason given'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Likelihood:
    """The log-likelihood of a given continuation."""

    logprob: float
    """Natural logarithm, summed over the continuation's tokens."""
    greedy: bool
    """Whether greedy decoding would have produced exactly this continuation."""
    tokens: int
    """How many tokens were scored."""
    truncated: int = 0
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One item of a suite."""

    id: str
    """Stable across runs, models and sources of the same data: pairing depends on it."""
    prompt: str | tuple[Message, ...]
    """What the item asks, before few-shot text or a chat template is put around it."""
    choices: tuple[str, ...] = ()
    target: str | None = None
    """What would be right, for people who read the report."""
    cluster: str | None = None
    """Samples that share a cluster are not independent. None: the sample stands alone."""
    tags: Mapping[str, Json] = field(default_factory=dict)
    """What results can be split by: category, instruction type, …

    A list says what each part of the sample's scores is, in their order; anything else is said of all of
    them, and None says nothing.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One number about one sample, or the reason why there is none.

    `value` None means unscored: it is counted and shown, and never averaged in, never 0, never NaN.
    A row may hold several scores of one metric (instructions of a prompt, draws of a continuation);
    their order in the row is their `part`, and they pair by it.
    """

    metric: str
    value: float | None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A sample, what a model answered, and what that is worth: what a suite yields and the store keeps."""

    sample: Sample
    responses: tuple[Response | Likelihood, ...]
    scores: tuple[Score, ...]
    position: int = 0
    """The sample's place in the suite; rows come in any order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """Something a suite measures. The kind picks the test."""

    name: str
    kind: Literal["binary", "number"]
    higher_is_better: bool = True
    headline: bool = False
    """Whether the verdict and the leaderboard's mean rest on it. A headline lies within 0 and 1."""
    splits: tuple[str, ...] = ()
    """The samples' tags by which reports show it group by group."""
    note: str | None = None
    """What a reader of its numbers must know."""
    margin: float | None = None
    """How much of it may be lost, in its own unit: a comparison then also decides whether less than that was.

    How results are read, and no part of a run: it can change afterwards, and nothing is asked again.
    """
    excerpt: bool = False
    """Whether it is of excerpts, cut at a length that belongs to the protocol. Of all other metrics, reports
    count the answers that were cut. No part of a run either."""


# ---------------------------------------------------------------- what was done


ASKED = "asked"
"""Under which key of a run's environment it stands as what the run was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a run was asked for as, the last time that an evaluation named it."""

    at: str
    """ISO 8601, UTC."""
    settings: Mapping[str, Json]
    """The suite's in the configuration, defaults included."""
    rows: int | None = None
    """How many the suite has, where only the first were asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One suite asked of one model: everything needed to answer "were the conditions the same?"."""

    id: str
    """The hash of what makes it this run: see `plan_run` in `harness.evaluation`."""
    model: str
    """The model's or pipeline's name."""
    fingerprint: str
    """The engine's: weights, tokenizer, chat template, adapter, dtype."""
    suite: str
    suite_version: str
    metrics: tuple[Metric, ...]
    data_hash: str
    settings: Mapping[str, Json]
    """What answers and scores depend on besides model and data: sampling, few-shot, template, scorer."""
    seed: int
    environment: Mapping[str, Json]
    """Package versions, hardware, device, and as what it was asked for. Not part of the identity."""
    size: int
    """How many samples the run has when it is whole."""
    started: str
    """ISO 8601, UTC."""
    finished: str | None = None
    """None: not whole yet."""

    @property
    def asked(self) -> Asked | None:
        """As what it was asked for last; None for a run of before that was recorded."""
        kept = self.environment.get(ASKED)
        return Asked(**cast(Any, kept)) if isinstance(kept, Mapping) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One stored score with what pairing and clustering need."""

    sample: str
    part: int
    cluster: str
    """The sample's cluster, or its id."""
    value: float | None


NO_ORDER = "none"
"""The `order` in the details of a rater that sees no pair in any: `shown_first` then says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rater:
    """Somebody who prefers: a judge model asked in one way, or a person in one blind test."""

    id: str
    """What preferences name. Another judge, template or criteria is another rater."""
    kind: Literal["judge", "human"]
    name: str
    """The judge model's name, or the person's."""
    details: Mapping[str, Json] = field(default_factory=dict)
    """A judge's fingerprint, template, version, criteria and order; a person's blind test."""

    @property
    def sees_an_order(self) -> bool:
        """Whether one answer is shown before the other. To a reward model, or a jury, none is."""
        return self.details.get("order") != NO_ORDER


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two runs' answers to one sample, one of which may be preferred."""

    sample: Sample
    left_run: str
    right_run: str
    left: Response
    right: Response

    @property
    def identical(self) -> bool:
        """Whether there is nothing to prefer: the texts are equal but for the white space around them."""
        return self.left.text.strip() == self.right.text.strip()

    @property
    def missing(self) -> str | None:
        """Why there is no pair to show; None where both answers are there."""
        for answer in (self.left, self.right):
            if answer.unanswered is not None:
                return answer.unanswered
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """One rater's choice between two answers to one sample; judges and humans alike."""

    sample: str
    left_run: str
    right_run: str
    shown_first: Literal["left", "right"]
    """Which of the two answers the rater read first, or saw on the left."""
    winner: Literal["left", "right", "tie"] | None
    """None: no usable answer, and `reason` says why."""
    rater: str
    """A Rater's id."""
    seconds: float | None = None
    cost: float | None = None
    """In the currency of the price table; None where nothing was to be paid."""
    reason: str | None = None
    difference: float | None = None
    """The right answer's reward minus the left one's, where the rater is a reward model."""
    reply: str | None = None
    """The key of the judge's reply in the store."""
    comment: str | None = None
    """What a person wrote beside the choice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A blind test: who rates what in which order and on which sides, fixed before the first vote."""

    name: str
    created: str
    """ISO 8601, UTC."""
    design: Mapping[str, Json]
    """Everything that is sealed, the side of each model among it."""
    commitment: str
    """`sha256:` of the canonical design, printed when it was made."""
    unsealed: str | None = None
    """When it was revealed which side was whose; None: it still is sealed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """What a person did with one ballot of a study. Votes are only ever added; an undone one stays."""

    study: str
    rater: str
    """The person's name within the study."""
    ballot: str
    choice: Literal["left", "right", "tie", "bad", "skip", "undo"]
    """The side of the screen, not of a pair. `bad`: both are; `undo` takes the ballot's last choice back."""
    token: str
    """Made by who sends it, once for each act: the same one sent twice is one vote."""
    at: str
    """ISO 8601, UTC."""
    seconds: float | None = None
    """How long the ballot was looked at."""
    comment: str | None = None
    source: str = "web"
    """Where it was cast: `web`, `terminal`, or the file it was read from."""


# ---------------------------------------------------------------- what it means


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A two-sided interval and its level (0.95 is 95 %)."""

    low: float
    high: float
    level: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Flips:
    """How paired binary scores changed from the baseline to the candidate."""

    won: int
    lost: int
    both_right: int
    both_wrong: int


class Decision(StrEnum):
    """What a comparison allows one to say."""

    BETTER = "BETTER"
    WORSE = "WORSE"
    MIXED = "MIXED"
    """Over several metrics: better in one and worse in another."""
    NO_DIFFERENCE = "NO DIFFERENCE SHOWN"
    NOT_COMPARABLE = "NOT COMPARABLE"
    NOT_WORSE = "NOT WORSE"
    """Only the price was compared, no headline: less than the margin is lost everywhere, if anything."""
    UNDECIDED = "UNDECIDED"
    """Only the price was compared, and it is not decided everywhere."""


class Price(StrEnum):
    """What a comparison with a margin allows one to say of what was lost."""

    NOT_WORSE = "NOT WORSE"
    """Less than the margin is lost, if anything: non-inferior."""
    WORSE = "WORSE"
    """A loss is shown, and it is not shown to be below the margin."""
    UNDECIDED = "UNDECIDED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Whether the candidate lost less than a margin (`harness.price`)."""

    margin: float
    decision: Price
    p: float
    """One-sided: of a loss as large as the margin or larger."""
    adjusted_p: float | None
    """Holm's, over all comparisons with a margin."""
    needed: int
    """Independent samples that show with 80 % power that less than the margin is lost, if nothing is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alike:
    """How many samples of a suite the candidate answered as the baseline did, where that is nearly all."""

    equal: int
    samples: int
    """That both answered."""
    answers: int
    """Of a sample; it is equal where all of them are."""
    of_texts: bool
    """Whether answers are texts, and not log-likelihoods."""

    def in_words(self, suite: str) -> str:
        """The same as a clause."""
        if self.of_texts and self.answers == 1:
            return f"{self.equal:,} of {self.samples:,} answers on {suite} equal the baseline's"
        what = "answers" if self.of_texts else "log-likelihoods"
        return f"on {suite} all {what} to {self.equal:,} of {self.samples:,} samples equal the baseline's"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A candidate against a baseline on one metric of one suite."""

    baseline: str
    candidate: str
    suite: str
    metric: Metric
    decision: Decision
    n: int
    """Samples with a score in both runs."""
    scores: int
    """Scores that both runs have, paired by sample and part: several for a sample, where it has several."""
    clusters: int
    """Independent units among the samples."""
    unscored: int
    """Pairs that at least one of the runs left unscored."""
    unpaired: int
    """Samples that only one of the runs has."""
    baseline_mean: float | None
    candidate_mean: float | None
    """Means over the paired samples."""
    difference: float | None
    """Candidate minus baseline, in the metric's own unit."""
    interval: Interval | None
    p: float | None
    adjusted_p: float | None
    """Holm's, over the family `family`."""
    family: str
    flips: Flips | None
    """For binary metrics with one score per sample."""
    detectable: float | None
    """The smallest true difference that this many samples would have shown, with 80 % power."""
    method: str
    """Test and interval, in words."""
    notes: tuple[str, ...] = ()
    """What a reader must know: a forced comparison, different chat templates, different packages."""
    could_be: tuple[float, float] | None = None
    """The lowest and highest difference, had every pair a score. None: all have, or no range is known."""
    loss: Loss | None = None
    """Where the metric has a margin and there are numbers."""
    alike: Alike | None = None
    """Where nearly all answers equal the baseline's."""

    @property
    def could_turn(self) -> bool:
        """Whether a difference that is shown could be none, or its opposite, with what is unscored."""
        shown = self.decision in (Decision.BETTER, Decision.WORSE)
        return shown and self.could_be is not None and self.could_be[0] <= 0 <= self.could_be[1]

    def sentence(self) -> str:
        """The verdict on this metric in one sentence."""
        where = f"{self.candidate} vs {self.baseline} on {self.suite}/{self.metric.name}"
        if self.difference is None or self.interval is None or self.adjusted_p is None:
            return f"{where}: {self.decision}: {'; '.join(self.notes) or 'no paired scores'}"
        return (
            f"{where}: {self.decision}: {self.difference:+z.3f} "
            f"[{self.interval.low:+z.3f}, {self.interval.high:+z.3f}], "
            f"p = {self.adjusted_p:.2g} (adjusted), n = {self.n}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What follows for one candidate, and the comparisons it rests on."""

    candidate: str
    baseline: str
    decision: Decision
    comparisons: tuple[Comparison, ...]
    reason: str
    """The decision in words."""
