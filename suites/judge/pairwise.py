"""A judge that is asked in words which of two answers is better, in one order of the answers or in both.

A judge that prefers whatever stands first does so in both orders, and is found out; so by default both are
asked, each a preference of its own. Where only one is asked, the seed and the pair decide whose answer stands
first, so that neither model profits.

Zheng et al. 2023, "Judging LLM-as-a-Judge with MT-Bench and Chatbot Arena", https://arxiv.org/abs/2306.05685,
describe the position bias and the two orders against it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from hashlib import sha256
from typing import Literal

from harness.records.answers import Prompt, Response, SamplingParameters
from harness.records.models import Json
from harness.records.preferences import Pair, Preference, Rater, Side, Winner
from harness.turns import turns_or_text
from suites.judge.judges import preference, rater_of
from suites.judge.parsing import Choice, schema_of, verdict_of
from suites.judge.templates import Form, Template, sentence_of

Order = Literal["both", "one"]
SIDES: Mapping[Side, Mapping[Choice, Winner]] = {
    "left": {"A": "left", "B": "right", "tie": "tie"},
    "right": {"A": "right", "B": "left", "tie": "tie"},
}
"""What a verdict says, by whose answer was shown first."""
OTHER_FORM: Mapping[Form, Form] = {"schema": "line", "line": "json"}
"""What is tried where a form is not read."""


@dataclass(frozen=True, kw_only=True)
class PairwiseJudge:
    """Matches `suites.judge.judges.Judge`."""

    name: str
    fingerprint: str
    """The engine's."""
    has_turns: bool
    """Whether the judge has a chat template; otherwise it is given a text to continue."""
    template: Template
    criteria: tuple[str, ...]
    """Names of `CRITERIA`, or the user's own sentences."""
    order: Order
    form: Form
    max_tokens: int
    """The maximum length of a reply, a thinking model's thoughts included."""
    seed: int

    @cached_property
    def rater(self) -> Rater:
        """The rater; if one order is asked, the seed that draws it is a part of its identity."""
        details: dict[str, Json] = {
            "fingerprint": self.fingerprint,
            "template": self.template.name,
            "version": self.template.version,
            "criteria": self._sentences,
            "order": self.order,
            "form": self.form,
            "turns": self.has_turns,
            "sampling": asdict(self.sampling),
        }
        if self.order == "one":
            details["seed"] = self.seed
        return rater_of(f"judge:{self.name}", self.name, details)

    @property
    def sampling(self) -> SamplingParameters:
        return SamplingParameters(max_tokens=self.max_tokens)

    @property
    def usual_tokens(self) -> int:
        return self.template.usual_tokens

    def other_form(self) -> "PairwiseJudge | None":
        """Asked for the last line instead of a schema, and for JSON instead of the last line."""
        return None if self.form == "json" else replace(self, form=OTHER_FORM[self.form])

    def first_side(self, pair: Pair) -> Side:
        """Left, where both orders are asked."""
        return self._orders(pair)[0]

    def prompts(self, pair: Pair) -> tuple[Prompt, ...]:
        return tuple(self._prompt(pair, side) for side in self._orders(pair))

    def preferences(self, pair: Pair, replies: Sequence[Response]) -> tuple[Preference, ...]:
        return tuple(
            self._preference(pair, side, reply)
            for side, reply in zip(self._orders(pair), replies, strict=True)
        )

    @cached_property
    def _sentences(self) -> list[str]:
        return [sentence_of(criterion) for criterion in self.criteria]

    def _orders(self, pair: Pair) -> tuple[Side, ...]:
        if self.order == "both":
            return ("left", "right")
        runs = sorted((pair.left_run, pair.right_run))  # whichever model was named first
        drawn = sha256("\0".join([str(self.seed), *runs, pair.sample.id]).encode()).digest()
        return ("left",) if runs[drawn[0] % 2] == pair.left_run else ("right",)

    def _prompt(self, pair: Pair, first: Side) -> Prompt:
        answers = pair.left.text, pair.right.text
        shown = answers if first == "left" else (answers[1], answers[0])
        text = self.template.text(pair.sample.prompt, *shown, criteria=self._sentences, form=self.form)
        return Prompt(
            content=turns_or_text(text, chat=self.has_turns),
            schema=schema_of(self.template) if self.form == "schema" else None,
        )

    def _preference(self, pair: Pair, first: Side, reply: Response) -> Preference:
        verdict = verdict_of(reply)
        winner = None if verdict.choice is None else SIDES[first][verdict.choice]
        return preference(pair, self.rater, first, winner, verdict.reason, reply)
