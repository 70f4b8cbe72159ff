"""A reward model as an engine: the same scores as in training, whatever is asked beside them."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification, LlamaConfig, LlamaForSequenceClassification

from harness.engine.local.reward_model import RewardEngine
from harness.engine.model_files import labels_of
from harness.engine.opening import check_model, is_reward_model, open_reward_model
from harness.errors import EngineError, ModelError, UsageError
from harness.records.answers import Message, Prompt, Response, SamplingParameters
from harness.records.models import Local, Model
from tests.tiny_models import tiny_llama, tiny_tokenizer
from trainers.rewards import judge
from trainers.tokens import judged_ids

ANY = SamplingParameters(max_tokens=1)
TALKS = [
    ("Name a tool.", "The hammer"),
    ("Name two tools, and say what they are for.", "A saw and a drill. One cuts and the other drills."),
    ("Hi", ""),
    ("Why?", "Because."),
]


def tiny_reward(folder: Path, *, labels: int = 1, pad: bool = True, chat_template: bool = True) -> Path:
    """A reward model of random weights."""
    tokenizer = tiny_tokenizer(chat_template=chat_template)
    torch.manual_seed(0)
    config = LlamaConfig(  # type: ignore[call-arg]  # its keyword arguments are untyped
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=128,
        initializer_range=0.5,
        num_labels=labels,
        pad_token_id=tokenizer.pad_token_id if pad else None,
    )
    LlamaForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def model(folder: Path, **source: str) -> Model:
    """A registered model."""
    return Model(name="reward", source=Local(path=str(folder), **source))  # type: ignore[arg-type]


def opened(folder: Path) -> RewardEngine:
    """Its engine on the CPU."""
    engine = open_reward_model(model(folder), device="cpu")
    assert isinstance(engine, RewardEngine)
    return engine


def conversation(prompt: str, answer: str) -> Prompt:
    """A prompt and its answer in turns."""
    return Prompt(content=(Message(role="user", content=prompt), Message(role="assistant", content=answer)))


def scores(engine: RewardEngine, prompts: list[Prompt]) -> list[Response]:
    """In the order of asking."""
    return [answer for _, answer in sorted(engine.generate(prompts, ANY), key=lambda each: each[0])]


def test_the_scores_are_those_of_training(tmp_path: Path) -> None:
    """What the trainers' reward gives for the same conversations, token for token."""
    folder = tiny_reward(tmp_path / "reward")
    found = scores(opened(folder), [conversation(*talk) for talk in TALKS])
    prompts = [[{"role": "user", "content": prompt}] for prompt, _ in TALKS]
    expected = judge(str(folder), prompts, [answer for _, answer in TALKS], chat=True)
    assert expected == pytest.approx([float(each.text) for each in found], abs=1e-5)
    tokenizer = tiny_tokenizer()
    lengths = [
        len(judged_ids(tokenizer, prompt, answer, chat=True))
        for prompt, (_, answer) in zip(prompts, TALKS, strict=True)
    ]
    assert lengths == [each.prompt_tokens for each in found]
    assert {"end"} == {each.stop_reason for each in found}
    assert len({each.text for each in found}) == len(TALKS)


def test_without_a_template_a_text_is_rated_as_it_is(tmp_path: Path) -> None:
    """As in training on raw text."""
    folder = tiny_reward(tmp_path / "reward", chat_template=False)
    engine = opened(folder)
    assert engine.info.chat_template is None
    found = scores(engine, [Prompt(content=prompt + answer) for prompt, answer in TALKS])
    prompts = [[{"role": "user", "content": prompt}] for prompt, _ in TALKS]
    expected = judge(str(folder), prompts, [answer for _, answer in TALKS], chat=False)
    assert expected == pytest.approx([float(each.text) for each in found], abs=1e-5)


@pytest.mark.parametrize("pad", [True, False])
def test_a_score_does_not_depend_on_company(
    tmp_path: Path, pad: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alone, in a batch or in several; a model that has no padding token is asked one by one."""
    engine = opened(tiny_reward(tmp_path / "reward", pad=pad))
    together = [float(each.text) for each in scores(engine, [conversation(*talk) for talk in TALKS])]
    alone = [float(scores(engine, [conversation(*talk)])[0].text) for talk in TALKS]
    assert together == pytest.approx(alone, abs=1e-5)
    monkeypatch.setattr("harness.engine.local.reward_model.CPU_POSITIONS", 20)
    small = scores(opened(tmp_path / "reward"), [conversation(*talk) for talk in TALKS])
    assert together == pytest.approx([float(each.text) for each in small], abs=1e-5)


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    """A part of a conversation would be another one; the others are rated."""
    engine = opened(tiny_reward(tmp_path / "reward"))
    long, short = scores(engine, [conversation("Count.", "one two " * 120), conversation("Hi", "Hi")])
    assert ("refused", "") == (long.stop_reason, long.text)
    assert (long.reason or "").endswith("tokens, where the reward model's window holds 1 to 128")
    assert "end" == short.stop_reason
    [empty] = scores(engine, [Prompt(content="")])
    assert "refused" == empty.stop_reason


def test_out_of_memory_makes_batches_smaller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a single conversation that does not fit ends the work."""
    engine = opened(tiny_reward(tmp_path / "reward"))
    expected = [float(each.text) for each in scores(engine, [conversation(*talk) for talk in TALKS])]
    forward = RewardEngine._forward
    most = 2

    def limited(self: RewardEngine, batch: list[object]) -> list[float]:
        if len(batch) > most:
            raise torch.OutOfMemoryError
        return forward(self, batch)  # type: ignore[arg-type]

    monkeypatch.setattr(RewardEngine, "_forward", limited)
    found = scores(engine, [conversation(*talk) for talk in TALKS])
    assert expected == pytest.approx([float(each.text) for each in found], abs=1e-5)
    most = 0
    with pytest.raises(EngineError, match="out of memory on cpu with a single conversation"):
        scores(engine, [conversation(*TALKS[0])])


def test_a_score_that_is_no_number(tmp_path: Path) -> None:
    """Damaged weights are reported, and give no winner."""
    folder = tiny_reward(tmp_path / "reward")
    network = AutoModelForSequenceClassification.from_pretrained(folder)
    network.score.weight.data.fill_(float("nan"))
    network.save_pretrained(folder)
    with pytest.raises(EngineError, match="gave a score that is no finite number in float32"):
        scores(opened(folder), [conversation(*TALKS[0])])


def test_what_it_says_of_itself(tmp_path: Path) -> None:
    """It has no log-likelihoods, opens no turn, and is closed."""
    engine = opened(tiny_reward(tmp_path / "reward"))
    assert engine.info.description["architecture"] == "LlamaForSequenceClassification"
    assert engine.can_score is False
    with pytest.raises(ModelError, match="has no log-likelihoods"):
        engine.loglikelihood([("a", "b")])
    with pytest.raises(ModelError, match="answers nothing itself"):
        engine.render([Message(role="user", content="Hi")])
    engine.close()
    with pytest.raises(EngineError, match="the engine is closed"):
        scores(engine, [conversation(*TALKS[0])])


def test_which_models_rate(tmp_path: Path) -> None:
    """A classifier with one label does, a language model does not, and other classifiers are reported."""
    assert is_reward_model(model(tiny_reward(tmp_path / "reward")))
    assert not is_reward_model(model(tiny_llama(tmp_path / "llama", seed=0)))
    assert labels_of(tmp_path / "llama") is None
    three = tiny_reward(tmp_path / "three", labels=3)
    check_model(model(three))
    with pytest.raises(ModelError, match="three is a classifier with 3 labels, and one that rates answers"):
        is_reward_model(model(three))
    config = json.loads((three / "config.json").read_text())
    del config["id2label"]
    (three / "config.json").write_text(json.dumps(config))
    assert 2 == labels_of(three), "what transformers takes for granted"
    with pytest.raises(UsageError, match="merge the adapter into"):
        open_reward_model(model(tmp_path / "reward", adapter="any"), device="cpu")
