"""What is learned, token by token, in the batches that TRL's trainers really get.

Every schema that rows may have, directly and through a mix, of one turn and of several, with a template that
marks what the assistant says and one that does not: the final answer and its end, and nothing else.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase, Trainer

from harness.records.models import MixSource
from tests.trainers.test_tokens import TEMPLATES
from trainers import dpo, policy, reward, sft
from trainers.job import Job
from trainers.mapping import map_rows
from trainers.stage_settings import STAGE_SETTINGS
from trainers.tokens import labelled

ASKED = {"role": "user", "content": "Name a cat"}
GOOD, BAD = ({"role": "assistant", "content": text} for text in ("red cat", "blue dog"))
EARLIER = [
    {"role": "user", "content": "Name a dog"},
    {"role": "assistant", "content": "green dog"},
]
TRANSCRIPT = "\n\nHuman: Name a dog\n\nAssistant: green dog\n\nHuman: Name a cat\n\nAssistant: "
END = "<|end|>"
MARKED = ("marked", "unmarked")

DEMONSTRATIONS: Mapping[str, dict[str, Any]] = {
    "prompt and completion": {"prompt": "Name a cat", "completion": "red cat"},
    "prompt and completion, messages": {"prompt": [*EARLIER, ASKED], "completion": [GOOD]},
    "messages": {"messages": [ASKED, GOOD]},
    "messages, several turns": {
        "messages": [{"role": "system", "content": "Be brief"}, *EARLIER, ASKED, GOOD]
    },
    "messages, a transcript": {"messages": f"{TRANSCRIPT}red cat"},
    "messages, text parts": {
        "messages": [ASKED, {"role": "assistant", "content": [{"type": "text", "text": "red cat"}]}]
    },
    "messages, a tool's turn": {
        "messages": [
            {"role": "developer", "content": "Be brief"},
            *EARLIER,
            {"role": "tool", "content": "a cat: red", "tool_call_id": "1"},
            {**GOOD, "weight": 1},
        ]
    },
    "conversations": {
        "conversations": [
            {"from": "system", "value": "Be brief"},
            {"from": "human", "value": "Name a dog"},
            {"from": "gpt", "value": "green dog"},
            {"from": "human", "value": "Name a cat"},
            {"from": "gpt", "value": "red cat"},
        ],
        "messages": None,
    },
    "instruction": {"instruction": "Name a cat", "input": "", "output": "red cat"},
    "instruction and input": {"instruction": "Answer", "input": "Name a cat", "output": "red cat"},
}
PREFERENCES: Mapping[str, dict[str, Any]] = {
    "texts": {"prompt": "Name a cat", "chosen": "red cat", "rejected": "blue dog"},
    "messages": {"chosen": [ASKED, GOOD], "rejected": [ASKED, BAD]},
    "messages beside a prompt": {"prompt": [*EARLIER, ASKED], "chosen": [GOOD], "rejected": [BAD]},
    "messages, several turns": {"chosen": [*EARLIER, ASKED, GOOD], "rejected": [*EARLIER, ASKED, BAD]},
    "transcripts": {"chosen": f"{TRANSCRIPT}red cat", "rejected": f"{TRANSCRIPT}blue dog"},
    "instruction": {"instruction": "Name a cat", "chosen": "red cat", "rejected": "blue dog"},
    "conversations": {
        "conversations": [{"from": "human", "value": "Name a cat"}],
        "chosen": {"from": "gpt", "value": "red cat"},
        "rejected": {"from": "gpt", "value": "blue dog"},
    },
}
LONGER = {
    "demonstrations": {"prompt": "Name a cat", "completion": "red cat and a blue cat and a green cat"},
    "preferences": {"prompt": "Name", "chosen": "red cat and a blue cat and a green cat", "rejected": "no"},
}
"""One more row, so that others are padded beside it."""

Batch = Callable[..., Mapping[str, torch.Tensor]]


class Caught(Exception):
    """Ends a stage where its training would begin."""

    def __init__(self, batch: Mapping[str, torch.Tensor]) -> None:
        self.batch = batch


@pytest.fixture
def batch(base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Batch:
    """The first batch that a stage would train on, given one row beside the longer one."""

    def catch(job: Job, trainer: Trainer) -> None:
        raise Caught(next(iter(trainer.get_train_dataloader())))

    for module in (policy, reward):
        monkeypatch.setattr(module, "train", catch)

    def first(kind: str, row: dict[str, Any], template: str, *, mixed: bool = False) -> Any:
        shape = "demonstrations" if kind == "sft" else "preferences"
        rows: list[Any] = [row, LONGER[shape]]
        if mixed:
            rows = [dict(item.row) for item in map_rows(0, MixSource(data="rows"), rows, shape)[0]]
        job = Job(
            kind=kind,
            folder=tmp_path,
            base=base,
            chat_template=TEMPLATES[template],
            data="rows",
            rows=rows,
            rewards=(),
            settings=STAGE_SETTINGS[kind](batch_size=2),
            seed=0,
        )
        with pytest.raises(Caught) as caught:
            {"sft": sft, "dpo": dpo, "reward": reward}[kind].run(job)
        return caught.value.batch

    return first


@pytest.fixture
def tokenizer(base: str) -> PreTrainedTokenizerBase:
    """The base's."""
    loaded: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(base)
    return loaded


def texts(tokenizer: PreTrainedTokenizerBase, ids: torch.Tensor, mask: torch.Tensor) -> list[str]:
    """Of every row the tokens in the mask, as text."""
    return [str(tokenizer.decode(row[chosen])) for row, chosen in zip(ids, mask.bool(), strict=True)]


@pytest.mark.parametrize("mixed", [False, True], ids=["as it is", "through a mix"])
@pytest.mark.parametrize("template", MARKED)
@pytest.mark.parametrize("schema", DEMONSTRATIONS)
def test_sft_learns_the_final_answer(
    batch: Batch, tokenizer: PreTrainedTokenizerBase, schema: str, template: str, mixed: bool
) -> None:
    """No prompt, no earlier answer, no header, no padding; and the end of the answer."""
    made = batch("sft", DEMONSTRATIONS[schema], template, mixed=mixed)
    learned = made["labels"] != -100
    assert {f"red cat{END}", f"{LONGER['demonstrations']['completion']}{END}"} == set(
        texts(tokenizer, made["input_ids"], learned)
    )
    assert torch.equal(made["labels"][learned], made["input_ids"][learned])
    assert not (learned & (made["attention_mask"] == 0)).any()
    assert (made["attention_mask"] == 0).any()


@pytest.mark.parametrize("mixed", [False, True], ids=["as it is", "through a mix"])
@pytest.mark.parametrize("template", MARKED)
@pytest.mark.parametrize("schema", PREFERENCES)
def test_dpo_compares_the_final_answers(
    batch: Batch, tokenizer: PreTrainedTokenizerBase, schema: str, template: str, mixed: bool
) -> None:
    """Chosen and rejected alone are in the loss; turns before them, which both have, are not."""
    made = batch("dpo", PREFERENCES[schema], template, mixed=mixed)
    longer = LONGER["preferences"]
    expected = {f"red cat{END}", f"blue dog{END}", f"{longer['chosen']}{END}", f"no{END}"}
    assert expected == set(texts(tokenizer, made["input_ids"], made["completion_mask"]))
    assert not (made["completion_mask"].bool() & (made["attention_mask"] == 0)).any()


@pytest.mark.parametrize("template", MARKED)
@pytest.mark.parametrize("schema", PREFERENCES)
def test_a_reward_model_reads_conversations_to_the_end_of_the_answer(
    batch: Batch, tokenizer: PreTrainedTokenizerBase, schema: str, template: str
) -> None:
    """Its number is of the last token that it reads: of the answer's end, never of padding."""
    made = batch("reward", PREFERENCES[schema], template)
    read = texts(tokenizer, made["input_ids"], made["attention_mask"])
    assert 4 == len(read)
    assert all(text.endswith(END) for text in read)
    assert {f"red cat{END}", f"blue dog{END}"} < {text.rpartition("<|assistant|>")[2] for text in read}


@pytest.mark.parametrize("row", DEMONSTRATIONS.values(), ids=DEMONSTRATIONS)
def test_the_markers_agree_where_there_are_some(
    batch: Batch, tokenizer: PreTrainedTokenizerBase, row: dict[str, Any]
) -> None:
    """transformers' own mask of what the assistant said ends with the tokens that we learn."""
    tokenizer.chat_template = TEMPLATES["marked"]
    (item,), _ = map_rows(0, MixSource(data="rows"), [row], "demonstrations")
    turns = item.row["messages"]
    theirs = tokenizer.apply_chat_template(turns, return_dict=True, return_assistant_tokens_mask=True)
    made = labelled(tokenizer, sft.demonstrations("rows", [item.row])[0], chat=True)  # type: ignore[attr-defined]  # patched here
    assert theirs["input_ids"] == made["input_ids"]
    learned = [label != -100 for label in made["labels"]]
    spoken = [bool(mark) for mark in theirs["assistant_masks"]]
    first = learned.index(True)
    assert spoken[first:] == learned[first:]
    assert sum(turn["role"] == "assistant" for turn in turns) > 1 or spoken == learned
