"""Answers sampled from a model in training: for pairs of its own answers, and to reward its checkpoints."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
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
    seed: int = 0
    """The same seed gives the same answers."""


@dataclass(slots=True)
class SamplingCount:
    """How much was sampled: tokens read and written, and the seconds that it took."""

    answers: int = 0
    read: int = 0
    """Tokens of prompts, once for each answer."""
    written: int = 0
    seconds: float = 0.0


@torch.inference_mode()
def sample_answers(
    folder: str,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[Turn]],
    how: AnswerSampling,
    *,
    chat: bool,
    on_progress: OnProgress = unreported,
    count: SamplingCount | None = None,
    kept: Path | None = None,
) -> list[list[str]]:
    """The answers to every prompt of the model in `folder`.

    `count` is added to. In the file `kept` is what was sampled so far, so that a stop costs one batch.
    """
    set_seed(how.seed)
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
    count = SamplingCount() if count is None else count
    answers = [] if kept is None else _resumed(kept, count)
    began = monotonic() - count.seconds
    with limited_threads(model):
        for start in range(len(answers), len(prompts), together):
            rows = [prompt_ids(tokenizer, prompt, chat=chat) for prompt in prompts[start : start + together]]
            batch = tokenizer.pad({"input_ids": rows}, padding_side="left", return_tensors="pt").to(device)
            whole = model.generate(  # type: ignore[misc]  # transformers types its self with a protocol
                **batch, generation_config=sampling
            )
            written = whole[:, batch["input_ids"].shape[1] :]
            count.answers += len(written)
            count.read += how.answers * sum(map(len, rows))
            count.written += written_tokens(written, sampling.eos_token_id)
            count.seconds = monotonic() - began
            texts = tokenizer.batch_decode(written, skip_special_tokens=True)
            answers += [texts[place : place + how.answers] for place in range(0, len(texts), how.answers)]
            if kept is not None:
                _keep(kept, answers, count)
            on_progress(len(answers), len(prompts), None)
    return answers


def _keep(file: Path, answers: Sequence[Sequence[str]], count: SamplingCount) -> None:
    """Write what was sampled, and the state of the random numbers after it. A kill leaves a whole file."""
    states = [torch.get_rng_state(), *torch.cuda.get_rng_state_all()]
    new = file.with_suffix(".new")
    torch.save({"answers": answers, "count": asdict(count), "random": states}, new)
    new.replace(file)


def _resumed(file: Path, count: SamplingCount) -> list[list[str]]:
    """What was sampled before a stop; random numbers go on from there."""
    if not file.exists():
        return []
    content = torch.load(file, weights_only=True)
    for name, value in content["count"].items():
        setattr(count, name, value)
    own, *of_gpus = content["random"]
    torch.set_rng_state(own)
    torch.cuda.set_rng_state_all(of_gpus)
    answers: list[list[str]] = content["answers"]
    return answers


def written_tokens(answers: torch.Tensor, ends: Sequence[int]) -> int:
    """The tokens of answers up to their end tokens; what pads the shorter ones was not written."""
    is_end = torch.isin(answers, torch.tensor(ends, device=answers.device)).long()
    return int((is_end.cumsum(dim=1) - is_end == 0).sum())


def _decoding(temperature: float | None) -> dict[str, object]:
    if temperature is None:
        return {"do_sample": False}
    return {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}
