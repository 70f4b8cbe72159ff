"""What is in the loss, token by token: the final answer and its end, whatever the schema and the template."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from harness.errors import ModelError
from trainers.data import demonstrations
from trainers.stage_settings import CHAT_TEMPLATE
from trainers.tokens import IGNORED, end_tokens, judged_ids, labelled, load_tokenizer, prompt_ids

UNMARKED = CHAT_TEMPLATE.replace("{% generation %}", "").replace("{% endgeneration %}", "")
TRAILING = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>\n' + message['content'] + '<|end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)
"""Like ChatML: a line break follows the end of every turn, and there is no beginning of sequence."""
TEMPLATES = {"marked": CHAT_TEMPLATE, "unmarked": UNMARKED, "trailing": TRAILING}

ONE_TURN: list[dict[str, Any]] = [
    {"prompt": "Name a cat", "completion": "red cat"},
    {"messages": [{"role": "user", "content": "Name a cat"}, {"role": "assistant", "content": "red cat"}]},
    {"instruction": "Name a cat", "input": "", "output": "red cat"},
]
SEVERAL_TURNS: dict[str, Any] = {
    "messages": [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "Name a dog"},
        {"role": "assistant", "content": "blue dog"},
        {"role": "user", "content": "Name a cat"},
        {"role": "assistant", "content": "red cat"},
    ]
}


@pytest.fixture(params=list(TEMPLATES))
def tokenizer(request: pytest.FixtureRequest, base: str) -> PreTrainedTokenizerBase:
    """A tokenizer with each kind of template."""
    loaded: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(base)
    loaded.chat_template = TEMPLATES[request.param]
    return loaded


def learned(tokenizer: PreTrainedTokenizerBase, row: dict[str, list[int]]) -> str:
    """The text of the tokens in the loss."""
    return str(tokenizer.decode([label for label in row["labels"] if label != IGNORED]))


@pytest.mark.parametrize("row", [*ONE_TURN, SEVERAL_TURNS])
def test_only_the_final_answer_and_its_end_are_learned(
    tokenizer: PreTrainedTokenizerBase, row: dict[str, Any]
) -> None:
    """Prompts, earlier answers and headers are masked; the end of turn is not, and ends all."""
    (example,) = demonstrations("rows", [row])
    assert "red cat<|end|>" == learned(tokenizer, labelled(tokenizer, example, chat=True))


def test_a_template_that_leaves_tools_out(base: str) -> None:
    """Many templates know three roles and drop others without a word: what is asked would not be the row."""
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.chat_template = (
        "{% for m in messages %}"
        "{% if m.role != 'tool' %}<|{{ m.role }}|>{{ m.content }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>{% endif %}"
    )
    turns = [{"role": role, "content": f"red {role}"} for role in ("user", "tool", "assistant")]
    (example,) = demonstrations("rows", [{"messages": turns}])
    with pytest.raises(ModelError, match="leaves out the turns of tools, which these rows have"):
        labelled(tokenizer, example, chat=True)


@pytest.mark.parametrize("row", [*ONE_TURN, SEVERAL_TURNS])
def test_labels_are_the_inputs_or_ignored(tokenizer: PreTrainedTokenizerBase, row: dict[str, Any]) -> None:
    """The masked tokens come first, and every label after them is the token that stands there."""
    (example,) = demonstrations("rows", [row])
    made = labelled(tokenizer, example, chat=True)
    masked = made["labels"].count(IGNORED)
    assert [IGNORED] * masked + made["input_ids"][masked:] == made["labels"]


@pytest.mark.parametrize("row", [*ONE_TURN, SEVERAL_TURNS])
def test_what_is_learned_is_what_is_asked(tokenizer: PreTrainedTokenizerBase, row: dict[str, Any]) -> None:
    """The masked tokens are exactly those the model will be given when it is asked."""
    (example,) = demonstrations("rows", [row])
    made = labelled(tokenizer, example, chat=True)
    asked = tokenizer.apply_chat_template(example.prompt, add_generation_prompt=True, return_dict=True)
    assert asked["input_ids"] == made["input_ids"][: made["labels"].count(IGNORED)]


def test_the_beginning_is_never_doubled(tokenizer: PreTrainedTokenizerBase) -> None:
    """A template that writes the beginning token gets no second one from the tokenizer."""
    ids = prompt_ids(tokenizer, [{"role": "user", "content": "Name a cat"}], chat=True)
    assert ("bos_token" in str(tokenizer.chat_template)) == ids.count(int(tokenizer.bos_token_id))


def test_raw_text_is_learned_after_the_prompt(tokenizer: PreTrainedTokenizerBase) -> None:
    """Without a template the prompt begins as the tokenizer begins texts, and the answer ends a sequence."""
    (example,) = demonstrations("rows", ONE_TURN[:1])
    made = labelled(tokenizer, example, chat=False)
    assert "<|begin|>Name a catred cat<|end|>" == tokenizer.decode(made["input_ids"])
    assert "red cat<|end|>" == learned(tokenizer, made)


@pytest.mark.parametrize("padding", ["<|pad|>", "<|end|>"])
def test_padding_is_never_learned_and_ends_always_are(base: str, padding: str) -> None:
    """Also where padding is the end-of-sequence token itself."""
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(base)
    tokenizer.pad_token = padding
    rows = demonstrations(
        "rows", [{"prompt": "a", "completion": "b c d"}, {"prompt": "a", "completion": "b"}]
    )
    made = [labelled(tokenizer, row, chat=True) for row in rows]
    batch = DataCollatorForLanguageModeling(pad_token_id=int(tokenizer.pad_token_id))(made)
    assert torch.all(batch["labels"][batch["attention_mask"] == 0] == IGNORED)
    assert 2 == int((batch["labels"] == tokenizer.eos_token_id).sum())


def test_a_template_without_an_end_gets_one(base: str) -> None:
    """Where the template ends no turn, the answer ends with the end of sequence."""
    tokenizer = load_tokenizer(
        base, "{% for m in messages %}{{ m.content }} {% endfor %}", needs_template=True
    )
    (example,) = demonstrations("rows", ONE_TURN[:1])
    assert tokenizer.eos_token_id == labelled(tokenizer, example, chat=True)["labels"][-1]


def test_the_end_of_turn_stops_generation(base: str) -> None:
    """A template may end turns with another token than the tokenizer ends sequences with; both must stop."""
    tokenizer = load_tokenizer(base, CHAT_TEMPLATE.replace("eos_token", "'<|system|>'"), needs_template=True)
    ends = [tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("<|system|>")]
    assert ends == end_tokens(tokenizer, chat=True)


def test_a_template_that_rewrites_the_prompt_is_refused(base: str) -> None:
    """If an answered prompt is rendered differently from an open one, training would not be what is asked."""
    rewriting = "{{ messages | length }}{% for m in messages %}{{ m.content }}<|end|>{% endfor %}"
    tokenizer = load_tokenizer(base, rewriting, needs_template=True)
    (example,) = demonstrations("rows", ONE_TURN[:1])
    with pytest.raises(ModelError, match="renders an answered prompt differently"):
        labelled(tokenizer, example, chat=True)


def test_turns_without_a_template_are_refused(base: str, tmp_path: Path) -> None:
    """A base without a chat template cannot be trained on turns, and the message says what to do."""
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.chat_template = None
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="chat_template = false"):
        load_tokenizer(str(tmp_path), None, needs_template=True)


def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    """A base that cannot be read is an error of use, not a traceback."""
    with pytest.raises(ModelError, match="no tokenizer"):
        load_tokenizer(str(tmp_path), None, needs_template=True)


def test_a_judge_reads_the_whole_conversation(tokenizer: PreTrainedTokenizerBase) -> None:
    """A reward model is shown what TRL's GRPO will show it: the rendered conversation, tokenised as it is."""
    prompt = [{"role": "user", "content": "Name a cat"}]
    turns = [*prompt, {"role": "assistant", "content": "red cat"}]
    rendered = tokenizer.apply_chat_template(turns, tokenize=False)
    expected = tokenizer(text=[rendered], add_special_tokens=False)["input_ids"][0]
    assert expected == judged_ids(tokenizer, prompt, "red cat", chat=True)
