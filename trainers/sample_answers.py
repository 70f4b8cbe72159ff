"""Answers sampled from a model in training: for pairs of its own answers, and to reward its checkpoints."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from transformers import AutoModelForCausalLM, GenerationConfig, PreTrainedTokenizerBase, set_seed

from trainers.data import Turn
from trainers.job import OnProgress, unreported
from trainers.tokens import end_tokens, prompt_ids
from trainers.training import limited_threads

ANSWERS_PER_BATCH = 256
"""Answers sampled in one batch, at most."""


class AnswerSampling(NamedTuple):
    """How answers are sampled."""

    answers: int
    """The number of answers to each prompt."""
    max_new_tokens: int
    temperature: float | None = None
    """None: greedy decoding."""


@torch.inference_mode()
def sample_answers(
    folder: str,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[Turn]],
    how: AnswerSampling,
    *,
    chat: bool,
    seed: int,
    on_progress: OnProgress = unreported,
) -> list[list[str]]:
    """The answers to every prompt of the model in `folder`; the same seed gives the same answers."""
    set_seed(seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = AutoModelForCausalLM.from_pretrained(folder, device_map=device)
    sampling = GenerationConfig(  # type: ignore[no-untyped-call]  # not annotated there
        **_decoding(how.temperature),
        max_new_tokens=how.max_new_tokens,
        num_return_sequences=how.answers,
        eos_token_id=end_tokens(tokenizer, chat=chat),
        pad_token_id=tokenizer.pad_token_id,
    )
    together = max(1, ANSWERS_PER_BATCH // how.answers)
    answers: list[list[str]] = []
    with limited_threads(model):
        for start in range(0, len(prompts), together):
            rows = [prompt_ids(tokenizer, prompt, chat=chat) for prompt in prompts[start : start + together]]
            batch = tokenizer.pad({"input_ids": rows}, padding_side="left", return_tensors="pt").to(device)
            whole = model.generate(  # type: ignore[misc]  # transformers types its self with a protocol
                **batch, generation_config=sampling
            )
            texts = tokenizer.batch_decode(whole[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)
            answers += [texts[place : place + how.answers] for place in range(0, len(texts), how.answers)]
            on_progress(len(answers), len(prompts), None)
    return answers


def _decoding(temperature: float | None) -> dict[str, object]:
    if temperature is None:
        return {"do_sample": False}
    return {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}
