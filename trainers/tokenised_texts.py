"""Scored texts as a classifier reads them, in batches of about one length, so that little is padded.

transformers' own grouping by length draws from the generator that everything draws from, so that a training
that was stopped within an epoch would go on with other rows. Here the order follows from seed and epoch.
"""

from collections.abc import Sequence
from random import Random

from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerBase

from trainers.data import ScoredText
from trainers.tokens import IGNORED

SORTED_BATCHES = 50
"""Of so many batches at a time, texts are sorted by length."""


class TokenisedTexts(Dataset[dict[str, list[int] | list[float]]]):
    """To be read in sequence; every epoch has an order of its own."""

    def __init__(
        self, texts: Sequence[ScoredText], tokenizer: PreTrainedTokenizerBase, batch_size: int, seed: int
    ) -> None:
        """`batch_size` rows are one step's, of all processes; texts are cut where the tokenizer cuts them."""
        self.ids: list[list[int]] = tokenizer([each.text for each in texts], truncation=True)["input_ids"]
        self.labels = [
            [float(IGNORED) if score is None else score for score in each.scores] for each in texts
        ]
        self.batch_size = batch_size
        self.seed = seed
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Order the texts for an epoch; the trainer calls it before each."""
        self.order = batched_by_length([len(each) for each in self.ids], self.batch_size, self.seed, epoch)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, place: int) -> dict[str, list[int] | list[float]]:
        number = self.order[place]
        return {"input_ids": self.ids[number], "labels": self.labels[number]}


def batched_by_length(lengths: Sequence[int], size: int, seed: int, epoch: int) -> list[int]:
    """An order in which every `size` consecutive rows are about equally long; batches come in any order."""
    random = Random(f"{seed}:{epoch}")
    order = list(range(len(lengths)))
    random.shuffle(order)
    batches = []
    for start in range(0, len(order), SORTED_BATCHES * size):
        part = sorted(order[start : start + SORTED_BATCHES * size], key=lengths.__getitem__)
        batches += [part[first : first + size] for first in range(0, len(part), size)]
    short = [] if len(batches[-1]) == size else batches.pop()
    random.shuffle(batches)
    return [place for batch in [*batches, short] for place in batch]
