"""The Detoxify scorer: what it gives, what identifies it, and what it refuses to load."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.errors import DownloadNeeded, ModelError, UnknownName
from suites.toxicity import ToxicityClassifier
from tests.suites.tiny_classifier import tiny_classifier


def nobody(name: str) -> Path | None:
    """Resolves no name."""
    return None


class Opener:
    """Pickles into a call, as a hostile checkpoint would."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("touched"),)


def test_scores_by_class(tmp_path: Path) -> None:
    """Every class is a probability, equal texts score equally, and order does not matter."""
    classifier = ToxicityClassifier.find(str(tiny_classifier(tmp_path / "c")), nobody)
    fool, dog, again = classifier.scores(["you fool .", "the dog is kind", "you fool ."])
    assert set(fool) == {"toxicity", "insult"}
    assert all(0 < value < 1 for value in fool.values())
    assert fool == again
    assert [dog, fool] == classifier.scores(["the dog is kind", "you fool ."])


def test_single_text(tmp_path: Path) -> None:
    """One text, for which Detoxify leaves out the list, scores as it does among others."""
    classifier = ToxicityClassifier.find(str(tiny_classifier(tmp_path / "c")), nobody)
    (alone,) = classifier.scores(["you fool ."])
    assert alone == pytest.approx(classifier.scores(["you fool .", "the dog"])[0], abs=1e-6)


def test_no_text(tmp_path: Path) -> None:
    """Nothing to score needs no classifier."""
    (tmp_path / "model.ckpt").touch()
    assert ToxicityClassifier.find(str(tmp_path), nobody).scores([]) == []


def test_moved_folder_keeps_identity(tmp_path: Path) -> None:
    """A classifier is its weights: moved, and found by a pipeline's name, it loads and is the same."""
    folder = tiny_classifier(tmp_path / "here")
    before = ToxicityClassifier.find(str(folder), nobody).identity()
    moved = folder.rename(tmp_path / "there")
    found = ToxicityClassifier.find("mine", {"mine": moved}.get)
    assert before == found.identity()
    assert len(found.scores(["the dog"])) == 1


def test_other_weights_other_identity(tmp_path: Path) -> None:
    """Two trainings are two scorers."""
    one, two = (tiny_classifier(tmp_path / str(seed), seed=seed) for seed in (1, 2))
    assert (
        ToxicityClassifier.find(str(one), nobody).identity()
        != ToxicityClassifier.find(str(two), nobody).identity()
    )


def test_unknown_name() -> None:
    """A name that is no release, pipeline or folder is proposed the nearest."""
    with pytest.raises(UnknownName, match="did you mean 'original'"):
        ToxicityClassifier.find("orginal", nobody)


def test_folder_without_checkpoint(tmp_path: Path) -> None:
    """A folder must hold one checkpoint."""
    with pytest.raises(ModelError, match=r"one \*\.ckpt file; there are 0"):
        ToxicityClassifier.find(str(tmp_path), nobody)


def test_hostile_checkpoint_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pickle that would run code is refused, and its code is not run."""
    monkeypatch.chdir(tmp_path)
    folder = tiny_classifier(tmp_path / "c")
    change(folder, lambda content: content.update(state_dict=Opener()))
    classifier = ToxicityClassifier.find(str(folder), nobody)
    assert ("toxicity", "insult") == classifier.classes
    with pytest.raises(ModelError, match="which can run code when it is read; this one is not read"):
        classifier.scores(["the dog"])
    assert not Path("touched").exists()


def test_hostile_description_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the classes are read from, nothing runs either."""
    monkeypatch.chdir(tmp_path)
    torch.save({"config": Opener(), "state_dict": {}}, tmp_path / "model.ckpt")
    with pytest.raises(ModelError, match="is not a Detoxify checkpoint of the model in its folder"):
        _ = ToxicityClassifier.find(str(tmp_path), nobody).classes
    assert not Path("touched").exists()


@pytest.mark.parametrize("content", [b"", b"no pickle at all", b"PK\x03\x04 half a zip"])
def test_damaged_checkpoint(tmp_path: Path, content: bytes) -> None:
    """A file that is no checkpoint is named."""
    folder = tiny_classifier(tmp_path / "c")
    (folder / "model.ckpt").write_bytes(content)
    with pytest.raises(ModelError, match="damaged"):
        ToxicityClassifier.find(str(folder), nobody).scores(["the dog"])


WRONG: dict[str, tuple[Callable[[Any], object], str]] = {
    "no configuration": (lambda c: c.pop("config"), "it lacks 'config'"),
    "another configuration": (lambda c: c.update(config=["arch"]), "its `config` is built in another way"),
    "no weights": (lambda c: c.pop("state_dict"), "it lacks 'state_dict'"),
    "no classes": (lambda c: c["config"]["dataset"]["args"].clear(), "it lacks 'classes'"),
    "no architecture": (lambda c: arguments(c).pop("model_name"), "it lacks 'model_name'"),
    "classes that are no list": (
        lambda c: c["config"]["dataset"]["args"].update(classes="toxic"),
        "`classes` must be a list of names, not 'toxic'",
    ),
    "too few outputs": (
        lambda c: arguments(c).update(num_classes=1),
        "it has 2 classes, and 1 as `num_classes`",
    ),
    "outputs that are no number": (
        lambda c: arguments(c).update(num_classes="2"),
        "it has 2 classes, and '2' as `num_classes`",
    ),
    "more outputs than weights": (
        lambda c: arguments(c).update(num_classes=3),
        "3 as `num_classes`, and weights for 2",
    ),
    "other classes": (
        lambda c: c["config"]["dataset"]["args"].update(classes=["spam", "ham"]),
        "needs a class 'toxicity', and has spam, ham",
    ),
    "an unknown architecture": (lambda c: arguments(c).update(model_name="NoSuchModel"), "NoSuchModel"),
    "another architecture": (
        lambda c: arguments(c).update(model_name="RobertaForSequenceClassification"),
        "lacks weights, among them",
    ),
    "an unknown tokenizer": (lambda c: arguments(c).update(tokenizer_name="NoSuch"), "NoSuch"),
    "a weight too few": (
        lambda c: c["state_dict"].pop("classifier.weight"),
        r"lacks weights, among them classifier\.weight",
    ),
    "a weight of another shape": (
        lambda c: c["state_dict"].update({"classifier.weight": torch.zeros(5, 5)}),
        "is not a Detoxify checkpoint of the model in its folder",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_checkpoint_that_does_not_fit(tmp_path: Path, wrong: str) -> None:
    """What is missing or does not fit is one clear error, and is never filled with random weights."""
    alter, message = WRONG[wrong]
    folder = tiny_classifier(tmp_path / "c")
    change(folder, alter)
    with pytest.raises(ModelError, match=message) as raised:
        ToxicityClassifier.find(str(folder), nobody).scores(["the dog"])
    assert str(folder / "model.ckpt") in str(raised.value)


def test_a_list_is_no_checkpoint(tmp_path: Path) -> None:
    """A readable pickle of something else is refused."""
    folder = tiny_classifier(tmp_path / "c")
    torch.save([1, 2], folder / "model.ckpt")
    with pytest.raises(ModelError, match="it lacks 'config'"):
        ToxicityClassifier.find(str(folder), nobody).scores(["the dog"])


def test_checkpoint_of_another_shape(tmp_path: Path) -> None:
    """Weights that do not fit the folder's configuration are refused."""
    folder, other = (tiny_classifier(tmp_path / name, classes=classes) for name, classes in SHAPES.items())
    (other / "model.ckpt").replace(folder / "model.ckpt")
    with pytest.raises(ModelError, match="is not a Detoxify checkpoint of the model in its folder"):
        ToxicityClassifier.find(str(folder), nobody).scores(["the dog"])


SHAPES = {"c": ("toxic", "insult"), "o": ("toxic", "a", "b")}


def test_outputs_without_a_name(tmp_path: Path) -> None:
    """The released ones have outputs beyond their classes, which are left out."""
    folder = tiny_classifier(tmp_path / "c", classes=("toxic", "insult", "male"))
    change(folder, lambda content: content["config"]["dataset"]["args"]["classes"].pop())
    (scores,) = ToxicityClassifier.find(str(folder), nobody).scores(["the dog"])
    assert {"toxicity", "insult"} == set(scores)


def test_classes_need_no_model_library(tmp_path: Path) -> None:
    """What a suite measures is known without torch: a stored evaluation is found by it."""
    folder = tiny_classifier(tmp_path / "c", classes=("toxic", "identity_hate", "severe_toxic"))
    script = (
        "import sys\n"
        "from suites.toxicity import ToxicityClassifier\n"
        f"found = ToxicityClassifier.find({str(folder)!r}, lambda name: None)\n"
        "found.identity()\n"
        "print(*found.classes, 'torch' in sys.modules)\n"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "toxicity identity_attack severe_toxicity False\n" == found.stdout


def test_as_detoxify_predicts(tmp_path: Path) -> None:
    """In batches of like length, each text scores as Detoxify's own `predict` scores it among all others."""
    folder = tiny_classifier(tmp_path / "c")
    words = ("the", "dog", "is", "you", "fool", "kind", ".")
    texts = [" ".join(words[(place * step) % 7] for step in range(1 + place % 23)) for place in range(200)]
    classifier = ToxicityClassifier.find(str(folder), nobody)
    own = classifier.scores(texts)
    theirs = classifier._detoxify.predict(texts)
    for name in ("toxicity", "insult"):
        assert [each[name] for each in own] == pytest.approx(theirs[name], abs=1e-6)


def change(folder: Path, alter: Callable[[Any], object]) -> None:
    """The folder's checkpoint, read, altered and written again."""
    content = torch.load(folder / "model.ckpt", weights_only=True)
    alter(content)
    torch.save(content, folder / "model.ckpt")


def arguments(content: Any) -> Any:
    """How a checkpoint says its model is built."""
    return content["config"]["arch"]["args"]


def test_release_without_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A released classifier that can be neither found nor downloaded is one clear error."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("suites.toxicity.RELEASE_PAGE", "http://127.0.0.1:9")
    with pytest.raises(
        DownloadNeeded, match=r"set `classifier` in the suite.s section, \[suites.realtoxicityprompts\]"
    ):
        ToxicityClassifier.find("original", nobody).identity()
