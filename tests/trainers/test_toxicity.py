"""Toxicity classifiers: from nothing and from encoders, on soft labels and missing ones, read by Detoxify."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from detoxify import Detoxify
from hypothesis import assume, given
from hypothesis import strategies as st
from torch.nn.functional import binary_cross_entropy_with_logits

from harness.errors import ConfigError, DataError, ModelError, TrainingError
from harness.records.models import Json, Local, Model, Pipeline
from suites.toxicity import ToxicityClassifier
from tests.tiny_models import tiny_llama
from tests.trainers.encoders import ENCODERS, tiny_encoder
from tests.trainers.world import CLASSIFIER, World, pipeline, run_alone, same, stage, weights, write_rows
from trainers import classifier_quality
from trainers.classifier_card import classifier_card
from trainers.classifier_quality import ALIKE, NO_BETTER, TOO_FEW, JudgedText, figures
from trainers.data import scored_texts
from trainers.doctor.examination import examine
from trainers.holdout import held_out_texts, text_keys
from trainers.reading import read
from trainers.tokenised_texts import batched_by_length
from trainers.tokens import IGNORED
from trainers.toxicity import masked_loss, positions, probabilities

LEARNING: dict[str, Json] = {"epochs": 12, "batch_size": 8, "learning_rate": 1e-2}
"""Enough to learn which texts have an animal in them."""
TEXTS = ["red and cat", "RED AND COW", "hammer", "plum and saw and drill and pear and apple", "", "dog " * 90]


def encoder(world: World, kind: str) -> dict[str, Model]:
    """A project's models: one encoder."""
    folder = world.root / kind
    if not folder.exists():
        tiny_encoder(kind, folder)
    return {"encoder": Model(name="encoder", source=Local(path=str(folder)))}


def from_encoder(**settings: Json) -> Pipeline:
    """A classifier that starts from the encoder."""
    return pipeline("tuned", "encoder", stage("toxicity", "toxic.jsonl", **{**LEARNING, **settings}))


def metrics_of(folder: Path) -> dict[str, Any]:
    """The manifest's metrics."""
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_text())["metrics"]
    return found


def by_detoxify(folder: Path, texts: list[str]) -> list[list[float]]:
    """What Detoxify itself says, once the checkpoint knows its folder."""
    content = torch.load(folder / "detoxify.ckpt", weights_only=True)
    content["config"]["arch"]["args"]["model_type"] = str(folder)
    torch.save(content, folder.parent / "moved.ckpt")
    loaded = Detoxify(checkpoint=str(folder.parent / "moved.ckpt"), huggingface_config_path=str(folder))
    by_class = loaded.predict(texts)
    return [list(each) for each in zip(*by_class.values(), strict=True)]


# ---------------------------------------------------------------- the candidate


def test_detoxify_reads_a_classifier_from_nothing(world: World) -> None:
    """Its folder is a Detoxify model with the declared classes and the numbers of transformers."""
    folder = world.produce("toxic", pipeline("toxic", None, CLASSIFIER))
    assert probabilities(str(folder), TEXTS) == [
        pytest.approx(each, abs=1e-6) for each in by_detoxify(folder, TEXTS)
    ]
    assert ("toxicity",) == ToxicityClassifier.find(str(folder), lambda name: None).classes


@pytest.mark.parametrize("kind", list(ENCODERS))
def test_detoxify_reads_a_classifier_from_an_encoder(world: World, kind: str) -> None:
    """The encoder's own architecture and tokenizer, and the suite's numbers are transformers' numbers."""
    folder = world.produce("tuned", from_encoder(), models=encoder(world, kind))
    expected = probabilities(str(folder), TEXTS)
    assert expected == [pytest.approx(each, abs=1e-6) for each in by_detoxify(folder, TEXTS)]
    scores = ToxicityClassifier.find(str(folder), lambda name: None).scores(TEXTS)
    assert expected == [pytest.approx(list(each.values()), abs=1e-6) for each in scores]
    config = json.loads((folder / "config.json").read_text())
    assert (kind, {"0": "toxicity"}) == (config["model_type"], config["id2label"])


@pytest.mark.parametrize(("kind", "tokens"), [("bert", 40), ("roberta", 38)])
def test_a_text_is_cut_at_what_the_encoder_can_read(world: World, kind: str, tokens: int) -> None:
    """Its table of positions, also where its tokenizer names no limit; or the setting, where that is less."""
    folder = world.produce("tuned", from_encoder(epochs=1), models=encoder(world, kind))
    assert tokens == json.loads((folder / "tokenizer_config.json").read_text())["model_max_length"]
    short = world.produce("tuned", from_encoder(epochs=1, max_length=16), models=encoder(world, kind))
    assert 16 == json.loads((short / "tokenizer_config.json").read_text())["model_max_length"]


def test_a_classifier_from_an_encoder_learns(world: World) -> None:
    """Which texts have an animal in them, with words that it knows from there alone."""
    folder = world.produce("tuned", from_encoder(epochs=20), models=encoder(world, "bert"))
    said = probabilities(str(folder), ["red and cat", "red and saw", "hammer and dog", "hammer and plum"])
    assert [True, False, True, False] == [values[0] > 0.5 for values in said]


def test_a_decoder_without_padding_is_no_encoder(world: World) -> None:
    """The reason, before anything is trained."""
    tiny_llama(world.root / "llama")
    settings = world.root / "llama" / "tokenizer_config.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "pad_token": None}))
    models = {"encoder": Model(name="encoder", source=Local(path=str(world.root / "llama")))}
    with pytest.raises(ModelError, match="start from an encoder such as BERT"):
        world.produce("tuned", from_encoder(), models=models)


def test_sizes_are_the_bases_own(world: World) -> None:
    """A size beside a base would be ignored in silence."""
    with pytest.raises(ConfigError, match=r"stages\[0\].layers: the base has its own; leave it out"):
        world.plan("tuned", from_encoder(layers=4), models=encoder(world, "bert"))


def test_defaults_are_those_of_what_it_starts_from(world: World) -> None:
    """A learning rate for fine-tuning, and no sizes; or a higher one, and all sizes."""
    kind = stage("toxicity", "toxic.jsonl")
    tuned = world.plan("tuned", pipeline("tuned", "encoder", kind), models=encoder(world, "bert"))[-1]
    alone = world.plan("alone", pipeline("alone", None, kind))[-1]
    assert (1e-4, 1e-3) == (tuned.settings.learning_rate, alone.settings.learning_rate)
    sizes = {"layers", "width", "heads", "intermediate", "vocabulary"}
    assert (set(), sizes) == tuple(sizes & each.settings.identifying().keys() for each in (tuned, alone))
    assert tuned.parent is not None


def test_pretraining_takes_no_base(world: World) -> None:
    """It alone must start from nothing."""
    with pytest.raises(ConfigError, match="a pretrain stage starts from nothing, and must come first"):
        world.plan(
            "p", pipeline("p", "encoder", stage("pretrain", "text.jsonl")), models=encoder(world, "bert")
        )


# ---------------------------------------------------------------- rows


def test_rows_of_realtoxicityprompts_are_two_texts_each() -> None:
    """Prompt and continuation, each with its own scores, of one group; null is no score."""
    row = {
        "filename": "a.txt",
        "prompt": {"text": "So", "toxicity": 0.1, "insult": 0.2},
        "continuation": {"text": " it goes", "toxicity": None, "insult": 1},
    }
    found = scored_texts("rows", [row], ("toxicity", "insult"))
    assert [("So", (0.1, 0.2), "row 1"), (" it goes", (None, 1.0), "row 1")] == found


def test_rows_of_ones_own() -> None:
    """A text with a column for each class; a missing column is no score, and `group` is what it says."""
    rows = [{"text": "a", "toxicity": 1}, {"text": "b", "insult": 0.5, "group": 7}]
    found = scored_texts("rows", rows, ("toxicity", "insult"))
    assert [("a", (1.0, None), None), ("b", (None, 0.5), "7")] == found


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": "a", "toxicity": 1.5}, "row 1: column `toxicity` must be a number from 0 to 1, not 1.5"),
        ({"text": "a", "toxicity": "1"}, "row 1: column `toxicity` must be a number from 0 to 1, not '1'"),
        ({"text": "a", "toxicity": float("nan")}, "row 1: column `toxicity` must be a number from 0 to 1"),
        ({"text": "a", "threat": 1}, "no text has a number for the class `toxicity`"),
        ({"prompt": "So", "toxicity": 1}, "row 1: needs `text`"),
        ({"prompt": {"toxicity": 1}}, "row 1: needs `text`"),
    ],
)
def test_rows_that_cannot_be_used(row: dict[str, Any], message: str) -> None:
    """The row, where it is one's fault."""
    with pytest.raises(DataError, match=message):
        scored_texts("rows", [row], ("toxicity",))


@given(
    texts=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20) | st.none()), min_size=12, max_size=50),
    share=st.floats(0.05, 0.4),
)
def test_equal_texts_and_groups_are_never_on_two_sides(
    texts: list[tuple[int, int | None]], share: float
) -> None:
    """Whatever belongs together, through several others too, and in whatever order it comes."""
    rows = [
        {"text": f"{text}{' ' * (place % 2)}", "toxicity": 0, "group": group}
        for place, (text, group) in enumerate(texts)
    ]
    scored = scored_texts("rows", rows, ("toxicity",))
    assume(len(set(text_keys(scored))) > 1)
    apart, learned = held_out_texts("rows", scored, share, seed=0)
    assert sorted(map(str, scored)) == sorted(map(str, [*apart, *learned]))
    assert apart
    for of in (lambda each: each.text.strip(), lambda each: each.group):
        here, there = ({of(each) for each in part} - {None} for part in (apart, learned))
        assert not here & there
    again = held_out_texts("rows", scored[::-1], share, seed=0)
    assert sorted(map(str, again[0])) == sorted(map(str, apart))


def test_texts_that_all_hang_together_cannot_be_split() -> None:
    """Nothing would be left to train on."""
    rows = [{"text": str(n), "toxicity": 0, "group": "one"} for n in range(9)]
    with pytest.raises(DataError, match="its 9 rows have 1 different texts that do not belong together"):
        held_out_texts("rows", scored_texts("rows", rows, ("toxicity",)), 0.1, seed=0)


def test_nothing_is_held_out_where_nothing_is_asked_for() -> None:
    """0 leaves all rows to learn."""
    scored = scored_texts("rows", [{"text": str(n), "toxicity": 0} for n in range(9)], ("toxicity",))
    assert ([], scored) == held_out_texts("rows", scored, 0.0, seed=0)


# ---------------------------------------------------------------- training


def test_a_missing_label_is_no_part_of_the_loss() -> None:
    """The mean over the labels that there are, however a step's rows are divided."""
    logits = torch.tensor([[1.0, -2.0], [0.5, 3.0], [2.0, 0.0]])
    labels = torch.tensor([[0.7, IGNORED], [IGNORED, IGNORED], [0.0, 1.0]])
    known = [binary_cross_entropy_with_logits(logits[at], labels[at]) for at in ((0, 0), (2, 0), (2, 1))]
    whole = masked_loss({"logits": logits}, labels, 3)
    parts = [masked_loss({"logits": logits[half]}, labels[half], 3) for half in (slice(0, 1), slice(1, 3))]

    assert float(sum(known)) / 3 == pytest.approx(float(whole)) == pytest.approx(float(sum(parts)))


def test_texts_without_any_label_are_left_out_and_counted(world: World) -> None:
    """And a class that some texts lack is learned from the others."""
    rows = [json.loads(line) for line in (world.root / "toxic.jsonl").read_text().splitlines()]
    for number, row in enumerate(rows):
        row["insult"] = row["toxicity"] if number % 2 else None
    rows.append({"text": "nobody has judged this", "toxicity": None})
    write_rows(world.root / "partly.jsonl", rows)
    kind = replace(
        CLASSIFIER,
        data=("partly.jsonl",),
        settings={**CLASSIFIER.settings, "epochs": 20, "classes": ["toxicity", "insult"]},
    )
    folder = world.produce("partly", pipeline("partly", None, kind))
    found = metrics_of(folder)
    assert (48, 1) == (found["rows"] + found["rows_held_out"], found["rows_unlabelled"])
    assert all(insult > 0.5 for _, insult in probabilities(str(folder), ["red and cat", "dog and cow"]))


def test_how_a_batch_is_divided_changes_nothing(world: World, tmp_path: Path) -> None:
    """Micro-batches of rows with unlike numbers of labels give the weights of whole batches."""
    rows = [json.loads(line) for line in (world.root / "toxic.jsonl").read_text().splitlines()]
    uneven = [{**row, "insult": None if n % 3 else row["toxicity"]} for n, row in enumerate(rows)]
    write_rows(world.root / "uneven.jsonl", uneven)
    origin = str(tiny_encoder("bert", tmp_path / "bert"))
    given: dict[str, Json] = {
        **LEARNING,
        "epochs": 1,
        "learning_rate": 1e-4,
        "classes": ["toxicity", "insult"],
    }
    whole, parts, other = (
        weights(
            run_alone(world, stage("toxicity", "uneven.jsonl", **{**given, **extra}), origin, tmp_path / name)
        )
        for name, extra in (("whole", {}), ("parts", {"micro_batch": 2}), ("other", {"batch_size": 4}))
    )
    assert all(torch.allclose(whole[name], parts[name], atol=1e-4) for name in whole)
    assert not all(torch.allclose(whole[name], other[name], atol=1e-4) for name in whole)


@given(lengths=st.lists(st.integers(1, 60), min_size=1, max_size=400), size=st.integers(1, 9))
def test_batches_hold_texts_of_about_one_length(lengths: list[int], size: int) -> None:
    """Every row once, the short batch last, the same order for the same epoch, and little padding."""
    order = batched_by_length(lengths, size, 0, 1)
    assert list(range(len(lengths))) == sorted(order)
    assert order == batched_by_length(lengths, size, 0, 1)

    def padded(places: list[int]) -> int:
        batches = [places[start : start + size] for start in range(0, len(places), size)]
        return sum(len(batch) * max(lengths[place] for place in batch) for batch in batches)

    assert padded(order) <= padded(list(range(len(lengths)))) + 60 * size


def test_every_epoch_has_other_batches() -> None:
    """And another seed, too."""
    lengths = [n % 7 for n in range(100)]
    orders = [batched_by_length(lengths, 4, *at) for at in ((0, 0), (0, 1), (1, 0))]
    assert 3 == len(set(map(tuple, orders)))


def test_the_trainer_says_which_epoch_it_is(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without that, all epochs would have the first one's batches."""
    epochs: list[int] = []
    monkeypatch.setattr(
        "trainers.tokenised_texts.batched_by_length",
        lambda *given: (epochs.append(given[-1]), batched_by_length(*given))[1],
    )
    origin = str(tiny_encoder("bert", tmp_path / "bert"))
    run_alone(world, stage("toxicity", "toxic.jsonl", **{**LEARNING, "epochs": 3}), origin, tmp_path / "a")
    assert {0, 1, 2} <= set(epochs)


def test_positions_are_counted_as_the_model_does(tmp_path: Path) -> None:
    """BERT's from the first row of its table, RoBERTa's after the padding token's number."""
    for kind, found in (("bert", 40), ("distilbert", 40), ("roberta", 38)):
        assert found == positions(ENCODERS[kind]()[0])


@pytest.mark.parametrize("save_every", ["1 h", 5])
def test_an_interrupted_training_from_an_encoder_ends_with_the_same_weights(
    world: World, tmp_path: Path, save_every: str | int
) -> None:
    """It goes on from its last whole checkpoint, also within an epoch, with the rows that are left."""
    origin = str(tiny_encoder("bert", tmp_path / "bert"))
    asked = stage("toxicity", "toxic.jsonl", **{**LEARNING, "epochs": 4, "save_every": save_every})

    def stop(step: int, *_: object) -> None:
        if step == 17:
            raise KeyboardInterrupt

    whole = run_alone(world, asked, origin, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run_alone(world, asked, origin, tmp_path / "parts", on_progress=stop)
    assert same(whole, run_alone(world, asked, origin, tmp_path / "parts"))


# ---------------------------------------------------------------- what it is worth


def test_held_out_texts_are_measured_and_not_learned(world: World) -> None:
    """A share of the texts is kept apart, and what the finished classifier says of them is kept."""
    folder = world.produce("tuned", from_encoder(holdout=0.3), models=encoder(world, "bert"))
    rows = read("toxic.jsonl", world.root).rows
    apart, learned = held_out_texts("rows", scored_texts("rows", rows, ("toxicity",)), 0.3, seed=0)
    kept, reported = classifier_quality.read(folder), metrics_of(folder)

    assert (len(learned), len(apart)) == (reported["rows"], reported["rows_held_out"])
    assert len(apart) == len(kept) == reported["held_out_texts"]["texts"]
    expected = probabilities(str(folder), [each.text for each in apart])
    assert expected == [pytest.approx(each.predicted) for each in kept]
    assert reported["held_out_texts"] == classifier_quality.figures(kept, ("toxicity",))
    card = (folder / "card.md").read_text()
    assert f"{len(apart)} texts in" in card
    assert "fine-tuned from a base" in card


def test_a_constant_classifier_is_an_error(world: World) -> None:
    """Case is invisible to a lower-casing tokenizer: it learns the mean, and training says so."""
    rows = [json.loads(line) for line in (world.root / "toxic.jsonl").read_text().splitlines()]
    shouted = [{"text": row["text"], "toxicity": int(row["text"].isupper())} for row in rows]
    write_rows(world.root / "shouted.jsonl", shouted)
    kind = stage("toxicity", "shouted.jsonl", epochs=2, vocabulary=300)
    with pytest.raises(TrainingError, match=r"the classifier is constant: 0\.\d+ for each of 48 texts \("):
        world.produce("blind", pipeline("blind", None, kind))
    assert not (world.output / "blind").exists()


def judged(said: list[float], was: list[float | None], each: int = 1) -> list[JudgedText]:
    """Texts of one class, so many of each group."""
    return [
        JudgedText(text=str(n), group=str(n // each), predicted=(one,), labels=(label,))
        for n, (one, label) in enumerate(zip(said, was, strict=True))
    ]


def figures_of(found: list[JudgedText]) -> dict[str, Any]:
    """Those of the one class."""
    reported: dict[str, Any] = json.loads(json.dumps(figures(found, ("toxicity",)), allow_nan=False))
    of_class: dict[str, Any] = reported["classes"]["toxicity"]
    return of_class


def test_figures_by_hand() -> None:
    """Three of four pairs in order, a share too high by a quarter, and the table in ten bins."""
    found = figures_of(judged([0.1, 0.55, 0.6, 0.5], [0.0, 0.2, 0.9, 0.5]))
    assert (4, 2, 0.75, 0.75, 0.5) == tuple(
        found[name] for name in ("texts", "toxic", "auc", "predicted_toxic", "labelled_toxic")
    )
    assert pytest.approx(0.8) == found["spearman"]
    assert pytest.approx((0.01 + 0.1225 + 0.09 + 0.0) / 4) == found["brier"]
    assert [(0.1, 1, 0.1, 0.0), (0.5, 2, 0.525, 0.35), (0.6, 1, 0.6, 0.9)] == [
        (each["low"], each["texts"], pytest.approx(each["predicted"]), pytest.approx(each["labelled"]))
        for each in found["calibration"]
    ]
    assert pytest.approx((0.1 + 2 * 0.175 + 0.3) / 4) == found["calibration_error"]
    low, high = found["toxic_difference_interval"]
    assert low < found["toxic_difference"] == 0.25 < high


def test_a_text_without_a_label_is_no_part_of_a_class() -> None:
    """The others are; a class of which no held-out text has a label cannot be judged."""
    assert 3 == figures_of(judged([0.1, 0.2, 0.3, 0.4], [0.0, None, 1.0, 0.5]))["texts"]
    assert {"texts": 0, "toxic": 0, "fault": TOO_FEW} == figures_of(judged([0.1], [None]))


@pytest.mark.parametrize(
    ("said", "was", "fault"),
    [
        ([0.2, 0.3, 0.7, 0.8] * 10, [0.1, 0.2, 0.6, 0.9] * 10, None),
        ([0.2, 0.8, 0.7, 0.3] * 10, [0.1, 0.2, 0.6, 0.9] * 10, NO_BETTER),
        ([0.8, 0.7, 0.3, 0.2] * 10, [0.1, 0.2, 0.6, 0.9] * 10, NO_BETTER),
        ([0.29, 0.30, 0.31, 0.32] * 10, [0.1, 0.2, 0.6, 0.9] * 10, ALIKE),
        ([0.2, 0.8, 0.7, 0.3] * 2, [0.1, 0.2, 0.6, 0.9] * 2, TOO_FEW),
        ([0.1] * 3, [0.1] * 3, TOO_FEW),
        ([0.2, 0.4] * 20, [0.1, 0.2] * 20, TOO_FEW),
    ],
)
def test_what_is_said_of_a_class(said: list[float], was: list[float | None], fault: str | None) -> None:
    """Learned; in no order, or the wrong one; the base rate; and too few texts, or none of them toxic."""
    assert fault == figures_of(judged(said, was))["fault"]


def test_texts_of_one_group_are_not_several() -> None:
    """Forty texts of five groups are too few; of twenty, they are enough."""
    said, was = [0.2, 0.3, 0.7, 0.8] * 10, [0.1, 0.2, 0.6, 0.9] * 10
    assert [TOO_FEW, None] == [figures_of(judged(said, [*was], each))["fault"] for each in (8, 2)]


# ---------------------------------------------------------------- what the doctor says


@pytest.mark.parametrize(
    ("settings", "changed", "expected"),
    [
        ({}, {"fault": None, "toxic_difference_interval": [-0.1, 0.1]}, []),
        (
            {},
            {"fault": None, "toxic_difference_interval": [0.01, 0.2]},
            [("classifier calls too many texts toxic", "note")],
        ),
        (
            {},
            {"fault": None, "toxic_difference_interval": [-0.2, -0.01]},
            [("classifier calls too few texts toxic", "note")],
        ),
        ({}, {"fault": NO_BETTER}, [("classifier has learned nothing", "error")]),
        ({}, {"fault": ALIKE}, [("classifier has learned nothing", "error")]),
        ({}, {"verdict": ALIKE}, [("classifier has learned nothing", "error")]),  # as it was called before
        ({}, {"fault": TOO_FEW}, [("classifier cannot be judged", "warning")]),
        ({"holdout": 0}, {}, [("classifier is not measured", "warning")]),
    ],
)
def test_the_doctor_examines_a_classifier(
    world: World, settings: dict[str, Json], changed: dict[str, Json], expected: list[tuple[str, str]]
) -> None:
    """From the finished stage's own figures; a good one is left alone, with its AUC as what was measured."""
    asked = pipeline("toxic", None, replace(CLASSIFIER, settings={**CLASSIFIER.settings, **settings}))
    folder = world.produce("toxic", asked)
    file = folder / "manifest.json"
    content = json.loads(file.read_text())
    if changed:
        figures = content["metrics"]["held_out_texts"]["classes"]["toxicity"]
        figures.pop("fault", None)
        figures |= changed
    file.write_text(json.dumps(content))
    examination = examine(world.plan("toxic", asked)[-1])

    assert expected == [(each.check, each.severity) for each in examination.findings]
    assert bool(settings) != ("AUC" in str(examination.measured))
    if changed == {"fault": TOO_FEW}:
        assert "cannot be told from 5 held-out texts, 1 of them toxic" in examination.findings[0].evidence


def test_the_doctor_has_nothing_to_say_of_a_classifier_before_it_is_trained(world: World) -> None:
    """With rows held out, as is usual."""
    new = replace(CLASSIFIER, settings={**CLASSIFIER.settings, "epochs": 99})
    assert () == examine(world.plan("toxic", pipeline("toxic", None, new))[-1]).findings


def test_another_class_that_is_not_learned_is_a_warning(world: World) -> None:
    """The suites count by `toxicity`."""
    asked = pipeline("toxic", None, CLASSIFIER)
    file = world.produce("toxic", asked) / "manifest.json"
    content = json.loads(file.read_text())
    classes = content["metrics"]["held_out_texts"]["classes"]
    classes["threat"] = {**classes["toxicity"], "fault": NO_BETTER}
    classes["toxicity"] |= {"fault": None, "toxic_difference_interval": [-0.1, 0.1]}
    file.write_text(json.dumps(content))
    [finding] = examine(world.plan("toxic", asked)[-1]).findings
    assert ("warning", True) == (finding.severity, "`threat` is no better than chance" in finding.evidence)


# ---------------------------------------------------------------- the card


def test_the_card_says_what_it_agrees_with() -> None:
    """Each class with its intervals, what is wrong with one, and the calibration of the main one."""
    found = judged([0.2, 0.3, 0.7, 0.8] * 10, [0.1, 0.2, 0.6, 0.9] * 10)
    both = [replace(each, predicted=(*each.predicted, 0.3), labels=(*each.labels, None)) for each in found]
    card = classifier_card(
        data="rows.jsonl",
        architecture="BertForSequenceClassification",
        parameters=1234567,
        from_base=True,
        texts=360,
        held_out=figures(both, ("toxicity", "threat")),
    )
    assert "1,234,567 parameters, fine-tuned from a base on 360 texts of `rows.jsonl`" in card
    assert "Of the data 40 texts in 40 independent groups were held out of training" in card
    assert "| `toxicity` | 40 | 1.000 [" in card
    assert "| 50.0% | 50.0% |" in card
    assert "| `threat` | 0 | – |" in card
    assert "- **`threat`: too few held-out texts to tell**" in card
    assert "| 0.2–0.3 | 10 | 0.200 | 0.100 |" in card
    unmeasured = classifier_card(
        data="rows.jsonl", architecture="Bert", parameters=1, from_base=False, texts=9, held_out=None
    )
    assert "**Nothing was held out: how good it is, nobody has measured.**" in unmeasured
