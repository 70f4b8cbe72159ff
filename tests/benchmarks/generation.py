"""IFEval's and RealToxicityPrompts' answers by this engine and by lm-eval's `hf`: same work, how fast?

    python -m tests.benchmarks.generation --prompts 100 --json generation.json
    python -m tests.benchmarks.generation --prompts 20 --real SMOLLM2 --peer-batches 8

Run by hand, with HARNESS_DATA set and nothing else running. Models are random-weight ones, made on the fly:
what they write means nothing, and what it costs is what a trained model of the shape costs.

`ifeval`: its prompts, greedy, with answers whose lengths vary as those of trained models do: log-normal,
median 120 tokens, at most 400, drawn once. A random model does not end, so the lengths are forced, for both
engines by the same means and inside of the model: a prompt's last token says how many tokens are to come,
and the model lets through, of its own logits, only those of the tokens that say one less (about 80 of
32,000), until the end token alone is left. So neither engine has a hook, every row stays independent of its
neighbours, and the texts, which must be equal, still depend on all of the model's numbers. Both may write
1,280 tokens, as IFEval allows, and are not told that fewer come.

`realtoxicityprompts`: its prompts, 25 samples of 20 tokens each, temperature 1, nucleus 0.9. lm-eval repeats
the prompt 25 times. The logits are stretched to a standard deviation of 4, so that some hundred tokens are in
the nucleus, as with a trained model: random weights give nearly equal probabilities, and nine tenths of the
vocabulary. `--flat` leaves them as they are.

`--real` takes the folder of a trained model instead, in each of `--dtypes`: it ends its answers by itself,
and both engines may write `--max-tokens`. Its greedy texts must be equal in float32; in 16 bits a near tie
may turn.

`lm-eval` is measured at each of --peer-batches (1 is its default); the ratio counts against the fastest.
`tokens` are the positions that went through the model, padding included; `minimum_tokens` those of the
distinct prompts and of the answers. `max_abs_difference` is the share of greedy texts that differ: 0, or the
run ends, but for trained models in 16 bits.
"""

import argparse
import json
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from harness.engine.identity import LocalIdentity
from harness.engine.local.decoding import Decoding
from harness.engine.local.engine import LocalEngine
from harness.engine.local.kv_cache import ContinuousBatch
from harness.engine.local.network import Network
from harness.engine.local.stopping import Stopping
from harness.records.answers import Prompt, SamplingParameters
from harness.records.models import Local, Model
from tests.benchmarks.clock import clocked, replaced

LONGEST = 400
"""Tokens of an answer, at most."""
COUNTS = LONGEST + 1
END = 0
FIRST_WORD = 1 + COUNTS
"""Token ids: the end, then those that say 0 … 400, then words; a word says its id modulo 401."""


class ScheduledLlama(LlamaForCausalLM):
    """Every token says how many are still to come, and only those that say one less may follow it."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__(config)
        words = range(FIRST_WORD, config.vocab_size)
        by_count = [[word for word in words if word % COUNTS == count] for count in range(COUNTS)]
        fewest = min(map(len, by_count))
        allowed = [[END] * fewest, *(same[:fewest] for same in by_count)]
        self.following = torch.tensor(allowed)
        """Row n: what may follow a token that says n are to come."""

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        past_key_values: Any = None,
        logits_to_keep: Any = 0,
        **others: Any,
    ) -> Any:
        output = super().forward(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            logits_to_keep=logits_to_keep,
            **others,
        )
        last = input_ids[:, -1]
        counts = torch.where(last < FIRST_WORD, last - 1, last % COUNTS)
        allowed, logits = self.following[counts], output.logits[:, -1]
        kept = logits.gather(1, allowed)
        logits.fill_(-1e4).scatter_(1, allowed, kept)
        return output


def _llama(
    kind: type[LlamaForCausalLM],
    vocabulary: int,
    width: int,
    layers: int,
    inner: int,
    heads: int,
    groups: int,
) -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=layers,
        intermediate_size=inner,
        num_attention_heads=heads,
        num_key_value_heads=groups,
        tie_word_embeddings=True,
        max_position_embeddings=2048,
        bos_token_id=None,
        eos_token_id=END,
        pad_token_id=END,
    )
    torch.manual_seed(0)
    model = kind(config).eval()
    model.generation_config.eos_token_id = model.generation_config.pad_token_id = END
    model.generation_config.top_k = 0  # transformers' default of 50 would be the peer's alone
    return model


SHAPES: Mapping[str, Callable[[type[LlamaForCausalLM]], LlamaForCausalLM]] = {
    "llama-23m": partial(_llama, vocabulary=32_000, width=384, layers=6, inner=1024, heads=6, groups=6),
    "llama-116m": partial(_llama, vocabulary=32_000, width=768, layers=12, inner=2304, heads=12, groups=12),
    "llama-107m-grouped": partial(
        _llama, vocabulary=32_000, width=768, layers=12, inner=2304, heads=12, groups=3
    ),
    "llama-toy": partial(_llama, vocabulary=900, width=64, layers=2, inner=192, heads=4, groups=4),
}
"""The last one is the toy world's, and asked for RealToxicityPrompts only."""


@dataclass(kw_only=True)
class Measured:
    """What one engine took, and wrote."""

    seconds: float = 0
    cpu_seconds: float = 0
    """Of this process: what others take of the machine counts less."""
    texts: list[str] = field(default_factory=list)
    tokens: int = 0
    written: int = 0
    parts: dict[str, float] = field(default_factory=dict)
    """Seconds by kind of work."""


def main() -> None:
    """Measure what the command line asks for, and print and write it."""
    given = _arguments()
    torch.set_num_threads(given.threads)
    rows = []
    for shape in given.dtypes if given.real else given.models:
        for task in given.tasks:
            if (shape, task) != ("llama-toy", "ifeval"):
                rows += _compared(shape, task, given)
    if given.json:
        given.json.write_text(json.dumps({"rows": rows}, indent=1) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prompts", type=int, default=541, help="so many prompts, taken evenly from all")
    parser.add_argument("--samples", type=int, default=25, help="of each of RealToxicityPrompts' prompts")
    parser.add_argument("--models", nargs="+", choices=SHAPES, default=["llama-23m", "llama-116m"])
    parser.add_argument("--real", type=Path, help="the folder of a trained model, instead of random ones")
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"], help="of the trained model")
    parser.add_argument("--max-tokens", type=int, default=256, help="of the trained model's answers")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--peer-batches", nargs="*", type=int, default=[1, 8, 16, 32])
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--flat", action="store_true", help="do not stretch the logits")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


# ---------------------------------------------------------------- what is asked


@dataclass(frozen=True, kw_only=True)
class Task:
    """Prompts, how they are answered, and by what kind of model."""

    prompts: Sequence[Prompt]
    sampling: SamplingParameters
    model: type[LlamaForCausalLM]
    peer_settings: Mapping[str, Any]

    @property
    def greedy(self) -> bool:
        return self.sampling.temperature == 0


def _texts(file: str, text: Callable[[Any], str], count: int) -> list[str]:
    lines = Path(os.environ["HARNESS_DATA"], file).read_text("utf-8").strip().split("\n")
    found = [text(json.loads(line)) for line in lines]
    return found if count >= len(found) else [found[at * len(found) // count] for at in range(count)]


def _ifeval(given: argparse.Namespace) -> Task:
    texts = _texts("ifeval/input_data.jsonl", lambda row: row["prompt"], given.prompts)
    if given.real:
        return Task(
            prompts=[Prompt(content=text) for text in texts],
            sampling=SamplingParameters(max_tokens=given.max_tokens),
            model=LlamaForCausalLM,
            peer_settings={
                "do_sample": False, "temperature": 0.0, "max_gen_toks": given.max_tokens, "until": []
            },
        )  # fmt: skip
    draws = random.Random(0)
    lengths = [min(LONGEST, max(4, round(draws.lognormvariate(4.8, 0.8)))) for _ in texts]
    return Task(
        prompts=[Prompt(content=f"{text}<|{length}|>") for text, length in zip(texts, lengths, strict=True)],
        sampling=SamplingParameters(max_tokens=1_280),
        model=ScheduledLlama,
        peer_settings={"do_sample": False, "temperature": 0.0, "max_gen_toks": 1_280, "until": []},
    )


def _realtoxicityprompts(given: argparse.Namespace) -> Task:
    texts = _texts("realtoxicityprompts/random_5000.jsonl", lambda row: row["prompt"]["text"], given.prompts)
    return Task(
        prompts=[Prompt(content=text, draw=draw) for text in texts for draw in range(given.samples)],
        sampling=SamplingParameters(max_tokens=20, temperature=1.0, top_p=0.9),
        model=LlamaForCausalLM,
        peer_settings={
            "do_sample": True, "temperature": 1.0, "top_p": 0.9, "max_gen_toks": 20, "until": []
        },
    )  # fmt: skip


TASKS: Mapping[str, Callable[[argparse.Namespace], Task]] = {
    "ifeval": _ifeval,
    "realtoxicityprompts": _realtoxicityprompts,
}


def _tokenizer(size: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE of the official data's own texts, with the tokens that say how many are to come."""
    root = Path(os.environ["HARNESS_DATA"])
    files = ["truthfulqa/multiple_choice.jsonl", "ifeval/input_data.jsonl"]
    files.append("realtoxicityprompts/random_5000.jsonl")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=["<eos>", *(f"<|{count}|>" for count in range(COUNTS))],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = (line for name in files for line in (root / name).read_text("utf-8").split("\n"))
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<eos>", pad_token="<eos>")


# ---------------------------------------------------------------- who answers


def _model(shape: str, task: Task, given: argparse.Namespace) -> PreTrainedModel:
    if given.real:
        return AutoModelForCausalLM.from_pretrained(given.real, dtype=getattr(torch, shape)).eval()
    model = SHAPES[shape](task.model)
    if not (task.greedy or given.flat):
        with torch.no_grad():
            model.model.norm.weight *= 4 / _spread(model)
    return model


def _spread(model: LlamaForCausalLM) -> float:
    with torch.no_grad():
        tokens = torch.randint(FIRST_WORD, model.config.vocab_size, (8, 32))
        return float(model(tokens).logits.std())


def _ours(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, task: Task, prompts: Sequence[Prompt]
) -> Measured:
    network = Network(model, name="ours", device=torch.device("cpu"))
    identity = LocalIdentity(
        fingerprint="", chat_template=None, dtype="float32", path=Path(), adapter=None, tokenizer=Path()
    )
    stated = Model(name="ours", source=Local(path=""))
    engine = LocalEngine(network, tokenizer, identity, stated)
    measured = Measured()
    with _timed(measured), _counted(model, measured):
        began, used = time.perf_counter(), time.process_time()
        found = dict(engine.generate(prompts, task.sampling))
        measured.seconds, measured.cpu_seconds = time.perf_counter() - began, time.process_time() - used
    measured.texts = [found[at].text for at in range(len(prompts))]
    measured.written = sum(answer.completion_tokens for answer in found.values())
    return measured


def _lm_eval(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    task: Task,
    prompts: Sequence[Prompt],
    batch: int,
) -> Measured:
    peer = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=batch)
    requests = [
        Instance(
            request_type="generate_until",
            doc={},
            arguments=(prompt.content, dict(task.peer_settings)),
            idx=at,
        )
        for at, prompt in enumerate(prompts)
    ]
    measured = Measured()
    with _counted(model, measured):
        began, used = time.perf_counter(), time.process_time()
        measured.texts = peer.generate_until(requests, disable_tqdm=True)
        measured.seconds, measured.cpu_seconds = time.perf_counter() - began, time.process_time() - used
    return measured


# ---------------------------------------------------------------- what is measured


@contextmanager
def _counted(model: PreTrainedModel, measured: Measured) -> Iterator[None]:
    """Count the positions that go through the model, padding included."""

    def count(module: Any, arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> None:
        measured.tokens += keywords["input_ids"].numel()

    hook = model.register_forward_pre_hook(count, with_kwargs=True)
    try:
        yield
    finally:
        hook.remove()


@contextmanager
def _timed(measured: Measured) -> Iterator[None]:
    """Time each kind of our work on the way."""
    parts = [
        ("reading prompts", Decoding, "_read"),
        ("continuing", Decoding, "_continued"),
        ("choosing", Decoding, "_choose"),
        ("joining", ContinuousBatch, "join"),
        ("leaving", ContinuousBatch, "leave"),
        ("moving the cache (in joining, too)", ContinuousBatch, "_reserve"),
        ("looking for ends", Stopping, "reached"),
    ]
    with replaced(
        [(owner, name, clocked(part, measured.parts, getattr(owner, name))) for part, owner, name in parts]
    ):
        yield


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the result: us against lm-eval at its fastest."""

    model: str
    peer: str
    task: str
    prompts: int
    threads: int
    seconds: float
    peer_seconds: float
    ratio: float
    cpu_seconds: float
    peer_cpu_seconds: float
    tokens: int
    minimum_tokens: int
    peer_tokens: int
    max_abs_difference: float | None
    peer_batch: int
    peer_seconds_by_batch: Mapping[int, float]
    parts: Mapping[str, float]


def _compared(shape: str, name: str, given: argparse.Namespace) -> list[dict[str, Any]]:
    task = TASKS[name](given)
    model = _model(shape, task, given)
    tokenizer = (
        AutoTokenizer.from_pretrained(given.real) if given.real else _tokenizer(model.config.vocab_size)
    )
    assert len(tokenizer) <= model.config.vocab_size
    own = _model(shape, task, given)  # which may attend in a way of its own
    _ours(own, tokenizer, task, task.prompts[:2])  # what is done once per process is nobody's
    ours = _ours(own, tokenizer, task, task.prompts)
    minimum = sum(len(tokenizer(text)["input_ids"]) for text in {p.content for p in task.prompts})
    print(shape, name, f"{ours.seconds:.1f} s", ours.tokens, minimum + ours.written, ours.parts, flush=True)
    peers = {}
    for batch in given.peer_batches:
        _lm_eval(model, tokenizer, task, task.prompts[:2], batch)
        peers[batch] = _lm_eval(model, tokenizer, task, task.prompts, batch)
        spent = f"{peers[batch].seconds:.1f} s, {peers[batch].cpu_seconds:.1f} on the CPU"
        print(f"  lm-eval, batch {batch}: {spent}", peers[batch].tokens, flush=True)
    if not peers:
        return []
    best = min(peers, key=lambda batch: peers[batch].seconds)
    row = Row(
        model=f"{given.real.name}, {shape}" if given.real else shape,
        peer="lm-eval",
        task=name,
        prompts=len(task.prompts),
        threads=given.threads,
        seconds=ours.seconds,
        peer_seconds=peers[best].seconds,
        ratio=peers[best].seconds / ours.seconds,
        cpu_seconds=ours.cpu_seconds,
        peer_cpu_seconds=peers[best].cpu_seconds,
        tokens=ours.tokens,
        minimum_tokens=minimum + ours.written,
        peer_tokens=peers[best].tokens,
        max_abs_difference=_differing(ours.texts, peers.values(), model.dtype) if task.greedy else None,
        peer_batch=best,
        peer_seconds_by_batch={batch: peer.seconds for batch, peer in peers.items()},
        parts=ours.parts,
    )
    print(json.dumps(asdict(row)), flush=True)
    return [asdict(row)]


def _differing(texts: Sequence[str], peers: Any, dtype: torch.dtype) -> float:
    """The largest share of texts that differ from a peer's: in float32, none may."""
    shares = [sum(a != b for a, b in zip(texts, peer.texts, strict=True)) / len(texts) for peer in peers]
    assert max(shares) == 0 or dtype != torch.float32, f"texts differ: {shares}"
    return max(shares)


if __name__ == "__main__":
    main()
