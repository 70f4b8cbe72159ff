"""How fast a Detoxify classifier scores continuations, and in what batches: same numbers, texts a second?

    python -m tests.benchmarks.toxicity --texts 2000

Run by hand, with HARNESS_DATA set and nothing else running. The classifier has the shape of Detoxify's
`original` (bert-base-uncased, 109 million parameters) with random weights and a vocabulary of the data's own
words: what it says means nothing, and what it costs is what the released one costs. The texts are the data's
continuations, or, with `--tokens 20`, are cut to as many of the classifier's tokens, which is about what 20
tokens of a language model are. Seconds are CPU seconds of this process, on one thread.

`as asked` is Detoxify's `predict` on the 25 continuations of one prompt after the other; the others are what
`suites.toxicity` does with that many texts at a time. All must agree.
"""

import argparse
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from transformers import BertConfig, BertForSequenceClassification, BertTokenizer
from transformers.utils.logging import disable_progress_bar

from harness.files import json_lines
from suites.toxicity import ToxicityClassifier
from trainers.small_bert import vocabulary

CLASSES = ["toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate"]
Scores = list[Mapping[str, float]]


def classifier_of(folder: Path, texts: Sequence[str]) -> ToxicityClassifier:
    """A random classifier in the shape of `original`, whose vocabulary is made of these texts."""
    backend = BertTokenizer().backend_tokenizer
    normal = map(backend.normalizer.normalize_str, texts)
    words = Counter(w for text in normal for w, _ in backend.pre_tokenizer.pre_tokenize_str(text))
    pieces = vocabulary(words)[:30_522]
    BertTokenizer(vocab={p: i for i, p in enumerate(pieces)}, model_max_length=512).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(num_labels=len(CLASSES))  # type: ignore[call-arg]  # its keyword arguments are untyped
    config.save_pretrained(folder)
    arguments = {
        "num_classes": len(CLASSES),
        "model_type": "bert-base-uncased",
        "model_name": "BertForSequenceClassification",
        "tokenizer_name": "BertTokenizer",
    }
    content = {
        "config": {"dataset": {"args": {"classes": CLASSES}}, "arch": {"args": arguments}},
        "state_dict": BertForSequenceClassification(config).state_dict(),
    }
    torch.save(content, folder / "model.ckpt")
    return ToxicityClassifier.find(str(folder), lambda name: None)


def as_asked(classifier: ToxicityClassifier, texts: Sequence[str]) -> Scores:
    """Prompt after prompt, in Detoxify's own words."""
    found: Scores = []
    for start in range(0, len(texts), 25):
        by_class = classifier._detoxify.predict(list(texts[start : start + 25]))
        found += [dict(zip(by_class, values, strict=True)) for values in zip(*by_class.values(), strict=True)]
    return found


def together(count: int) -> Callable[[ToxicityClassifier, Sequence[str]], Scores]:
    """By the suite's scorer, so many texts at a time."""

    def score(classifier: ToxicityClassifier, texts: Sequence[str]) -> Scores:
        starts = range(0, len(texts), count)
        return [each for start in starts for each in classifier.scores(texts[start : start + count])]

    return score


def main() -> None:
    """Measure, and print a line each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--texts", type=int, default=1000)
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(1)
    disable_progress_bar()
    rows = [
        row
        for _, row in json_lines(Path(os.environ["HARNESS_DATA"]) / "realtoxicityprompts/random_5000.jsonl")
    ]
    texts = [row["continuation"]["text"] for row in rows]
    with tempfile.TemporaryDirectory() as folder:
        classifier = classifier_of(Path(folder), [*texts, *(row["prompt"]["text"] for row in rows)])
        classifier.scores(texts[:32])
        tokenizer = classifier._detoxify.tokenizer
        asked = random.Random(0).sample(texts, given.texts)
        ids = tokenizer(asked, add_special_tokens=False, truncation=True, max_length=given.tokens)[
            "input_ids"
        ]
        asked = tokenizer.batch_decode(ids)
        print(f"{len(asked)} texts of {sum(map(len, ids)) / len(ids):.1f} tokens")
        measure(classifier, asked, given.rounds)


def measure(classifier: ToxicityClassifier, texts: Sequence[str], rounds: int) -> None:
    """Every way in every round, so that what else the machine does falls on all."""
    ways = {"as asked": as_asked, **{f"{count} together": together(count) for count in (50, 256, 512)}}
    expected = None
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.process_time()
            found = way(classifier, texts)
            print(f"{name}: {len(texts) / (time.process_time() - start):.1f} texts a second", flush=True)
            expected = expected or found
            worst = max(abs(a[c] - b[c]) for a, b in zip(expected, found, strict=True) for c in a)
            assert worst < 1e-5, f"{name} differs by {worst}"


if __name__ == "__main__":
    main()
