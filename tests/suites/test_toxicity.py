"""The Detoxify scorer: what it gives, what identifies it, and what it refuses to load."""

from pathlib import Path

import pytest
import torch

from harness.errors import DownloadNeeded, ModelError, UnknownName
from suites.toxicity import Toxicity
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
    classifier = Toxicity.find(str(tiny_classifier(tmp_path / "c")), nobody)
    fool, dog, again = classifier.scores(["you fool .", "the dog is kind", "you fool ."])
    assert set(fool) == {"toxicity", "insult"}
    assert all(0 < value < 1 for value in fool.values())
    assert fool == again
    assert [dog, fool] == classifier.scores(["the dog is kind", "you fool ."])


def test_single_text(tmp_path: Path) -> None:
    """One text, for which Detoxify leaves out the list, scores as it does among others."""
    classifier = Toxicity.find(str(tiny_classifier(tmp_path / "c")), nobody)
    (alone,) = classifier.scores(["you fool ."])
    assert alone == pytest.approx(classifier.scores(["you fool .", "the dog"])[0], abs=1e-6)


def test_no_text(tmp_path: Path) -> None:
    """Nothing to score needs no classifier."""
    (tmp_path / "model.ckpt").touch()
    assert Toxicity.find(str(tmp_path), nobody).scores([]) == []


def test_moved_folder_keeps_identity(tmp_path: Path) -> None:
    """A classifier is its weights: moved, and found by a pipeline's name, it loads and is the same."""
    folder = tiny_classifier(tmp_path / "here")
    before = Toxicity.find(str(folder), nobody).identity()
    moved = folder.rename(tmp_path / "there")
    found = Toxicity.find("mine", {"mine": moved}.get)
    assert before == found.identity()
    assert len(found.scores(["the dog"])) == 1


def test_other_weights_other_identity(tmp_path: Path) -> None:
    """Two trainings are two scorers."""
    one, two = (tiny_classifier(tmp_path / str(seed), seed=seed) for seed in (1, 2))
    assert Toxicity.find(str(one), nobody).identity() != Toxicity.find(str(two), nobody).identity()


def test_unknown_name() -> None:
    """A name that is no release, pipeline or folder is proposed the nearest."""
    with pytest.raises(UnknownName, match="did you mean 'original'"):
        Toxicity.find("orginal", nobody)


def test_folder_without_checkpoint(tmp_path: Path) -> None:
    """A folder must hold one checkpoint."""
    with pytest.raises(ModelError, match=r"one \*\.ckpt file; there are 0"):
        Toxicity.find(str(tmp_path), nobody)


def test_hostile_checkpoint_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pickle that would run code is refused, and its code is not run."""
    monkeypatch.chdir(tmp_path)
    folder = tiny_classifier(tmp_path / "c")
    torch.save({"config": {}, "state_dict": Opener()}, folder / "model.ckpt")
    with pytest.raises(ModelError, match="which can run code when it is read; this one is not read"):
        Toxicity.find(str(folder), nobody).scores(["the dog"])
    assert not Path("touched").exists()


@pytest.mark.parametrize("content", [b"", b"no pickle at all", b"PK\x03\x04 half a zip"])
def test_damaged_checkpoint(tmp_path: Path, content: bytes) -> None:
    """A file that is no checkpoint is named."""
    folder = tiny_classifier(tmp_path / "c")
    (folder / "model.ckpt").write_bytes(content)
    with pytest.raises(ModelError, match="damaged"):
        Toxicity.find(str(folder), nobody).scores(["the dog"])


def test_missing_weights(tmp_path: Path) -> None:
    """What a checkpoint lacks is not filled with random weights."""
    folder = tiny_classifier(tmp_path / "c")
    content = torch.load(folder / "model.ckpt", weights_only=True)
    del content["state_dict"]["classifier.weight"]
    torch.save(content, folder / "model.ckpt")
    with pytest.raises(ModelError, match=r"lacks weights, among them classifier\.weight"):
        Toxicity.find(str(folder), nobody).scores(["the dog"])


def test_checkpoint_of_another_shape(tmp_path: Path) -> None:
    """Weights that do not fit the folder's configuration are refused."""
    folder, other = (
        tiny_classifier(tmp_path / "c"),
        tiny_classifier(tmp_path / "o", classes=("toxic", "a", "b")),
    )
    (other / "model.ckpt").replace(folder / "model.ckpt")
    with pytest.raises(ModelError, match="not a Detoxify checkpoint of the model in its folder"):
        Toxicity.find(str(folder), nobody).scores(["the dog"])


def test_needs_a_toxicity_class(tmp_path: Path) -> None:
    """A classifier of other things is refused."""
    folder = tiny_classifier(tmp_path / "c", classes=("spam", "ham"))
    with pytest.raises(ModelError, match="needs a class 'toxicity', and has spam, ham"):
        Toxicity.find(str(folder), nobody).scores(["the dog"])


def test_release_without_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A released classifier that can be neither found nor downloaded is one clear error."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("suites.toxicity.RELEASE_PAGE", "http://127.0.0.1:9")
    with pytest.raises(DownloadNeeded, match="set `classifier` to a folder"):
        Toxicity.find("original", nobody).identity()
