"""How far a stage moved from what it started from, and whether that is almost nothing.

`trainers.measure_movement` measures it after each stage; it is kept in the manifest's metrics, as `moved`.
Loads no model library.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

ALMOST_NOTHING = 0.05
"""The share of greedy answers that an idle stage changes, at most."""
MOST_WITHOUT_SIGNAL = 0.5
"""The share of steps without signal (`trainers.reward_signal`) that needs no warning, at most."""
ENOUGH = 20
"""Prompts of which a share says something; of fewer, an idle stage changes no answer at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """How far a candidate is from the base that its stage started from."""

    weights: float | None
    """norm(new − old) / norm(old) of all weights; None where the base's are a pickle, or have other names."""
    tensors: int
    """Those that both have, in one shape."""
    tensors_left_out: int
    """Those that only one has, such as a new head."""
    prompts: int
    """How many prompts both answered greedily; 0 where the candidate writes no answers."""
    answers_changed: int
    others: int = 0
    """Those of the prompts that are not the stage's own: it can leave its own answers and change these.

    0 for candidates that were trained before they were asked, and where a model reads too little for them.
    """
    others_changed: int = 0
    kl: float | None
    """From the base, as a stage with rewards logged it last."""
    margin: float | None
    """Of chosen above rejected answers, in rewards against the base, as DPO logged it last."""
    seconds: float
    """What the measurement took."""

    @property
    def is_almost_nothing(self) -> bool:
        """Whether the candidate answers like its base: at most `ALMOST_NOTHING` of its answers changed.

        Answers decide, since they are what is evaluated, and weights, KL and margin have no threshold: a
        change of 1 in 10,000 in the weights can be noise or a new style, according to how they were trained.
        """
        most = ALMOST_NOTHING * self.prompts if self.prompts >= ENOUGH else 0
        return self.prompts > 0 and self.answers_changed <= most

    def __str__(self) -> str:
        return "; ".join(self._parts())

    def _parts(self) -> Iterator[str]:
        if self.prompts:
            others = f" ({self.others_changed} of {self.others} to prompts of others)" if self.others else ""
            yield f"{self.answers_changed} of {self.prompts} greedy answers changed{others}"
        if self.weights is not None:
            yield f"weights changed by {100 * self.weights:.2g} %"
        if self.kl is not None:
            yield f"KL {self.kl:.2g}"
        if self.margin is not None:
            yield f"margin {self.margin:+.2g}"


def movement(metrics: Mapping[str, Any]) -> Movement | None:
    """How far a finished stage moved, by its metrics; None where it was not measured."""
    return Movement(**metrics["moved"]) if "moved" in metrics else None


def training_warnings(metrics: Mapping[str, Any]) -> Iterator[str]:
    """What a reader must know of a finished stage that did nothing, or had nothing to learn from."""
    moved = movement(metrics)
    if moved is not None and moved.is_almost_nothing:
        yield f"this stage moved almost nothing: {moved}"
    without, steps = metrics.get("steps_without_signal", 0), metrics.get("steps", 0)
    if without > MOST_WITHOUT_SIGNAL * steps:
        yield f"rewards gave no signal in {without:,} of {steps:,} steps"
