"""How much an answer's words overlap with a reference's: BLEU and ROUGE. Imports sacrebleu and rouge_score.

Both are set as in TruthfulQA's official code, which has them from T5's: BLEU of a single sentence, up to
4-grams, exponential smoothing, `intl` tokens; F1 of ROUGE-1, ROUGE-2 and ROUGE-Lsum, without stemming. All
lie between 0 and 100.
"""

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rouge_score.rouge_scorer import RougeScorer
    from sacrebleu.metrics.bleu import BLEU

ROUGES = {"rouge1": "rouge1", "rouge2": "rouge2", "rougeL": "rougeLsum"}
"""rouge_score's names by the official code's."""
OVERLAPS = ("bleu", *ROUGES)


def overlap(answer: str, reference: str) -> Mapping[str, float]:
    """Each of `OVERLAPS`, 0 to 100. Nothing overlaps with an empty answer."""
    found = {"bleu": _bleu().corpus_score([answer], [[reference]]).score}
    scores = _rouge().score(_one_sentence_a_line(reference), _one_sentence_a_line(answer))
    return found | {name: scores[theirs].fmeasure * 100 for name, theirs in ROUGES.items()}


@cache
def _bleu() -> "BLEU":
    from sacrebleu.metrics.bleu import BLEU  # noqa: PLC0415 - a stored evaluation needs none of it

    return BLEU(tokenize="intl", smooth_method="exp", effective_order=False, force=True)


@cache
def _rouge() -> "RougeScorer":
    from rouge_score.rouge_scorer import RougeScorer  # noqa: PLC0415 - brings nltk, which takes a second

    return RougeScorer(list(ROUGES.values()))


def _one_sentence_a_line(text: str) -> str:
    """Sentences as ROUGE-Lsum expects them, where their full stops stand apart."""
    return text.replace(" . ", ".\n")
