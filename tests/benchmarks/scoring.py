"""TruthfulQA's log-likelihoods by this engine, by lm-eval's `hf` and by lighteval: same numbers, how fast?

    python -m tests.benchmarks.scoring --questions 60 --json scoring.json
    python -m tests.benchmarks.scoring --questions 100 --real SMOLLM2 --peers lm-eval --peer-batches 1 8

Run by hand, with HARNESS_DATA set and nothing else running. Models are random-weight ones of three shapes,
made on the fly: what they answer means nothing, and what it costs is what a trained model of the shape costs.
`--real` takes the folder of a trained one instead, and asks it in each of `--dtypes`.

All engines get the same list, mc1's choices and then mc2's. In float32 every log-likelihood and both
accuracies must agree. In 16 bits nobody's agree to the last digits, nor do lm-eval's own in batches of 1 and
8: there `differences` says how far everybody is from everybody, our float32 answers included, and ours may be
no farther from those than lm-eval's (by a tenth). `minimum_tokens` is the size of the token tree: what any
exact scoring must compute. `speed_share` is the arithmetic of the forward passes by the time they took, as a
share of what a matrix product of this machine reaches in the same format.

`--memory` runs every engine in a process of its own instead, and compares peak memory.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import asdict, dataclass, field
from functools import partial
from io import StringIO
from itertools import combinations, groupby, product
from operator import itemgetter
from pathlib import Path
from statistics import fmean
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
from lighteval.models.transformers.transformers_model import TransformersModel, TransformersModelConfig
from lighteval.tasks.requests import Doc, SamplingMethod
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoTokenizer,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.utils.logging import disable_progress_bar

from harness.engine.local import tree_scoring, trial_results
from harness.engine.local.network import Network
from harness.engine.local.token_tree import grow
from harness.engine.local.tokens import Tokens
from harness.engine.opening import open_engine
from harness.records.models import Local, Model
from suites.settings import SuiteContext, SuiteSettings
from suites.truthfulqa import TruthfulQA
from tests.benchmarks.clock import clocked, replaced
from tests.harness.engine.scripted import ScriptedEngine

Pair = tuple[str, str]
Answers = list[tuple[float, bool]]
"""Log-likelihood, and whether the continuation is the greedy one."""

TOLERANCE = 1e-3
"""Between two engines' log-likelihoods, which are sums over up to a hundred tokens in float32."""


def _llama(vocabulary: int, width: int, layers: int, inner: int) -> PreTrainedModel:
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=width,
            num_hidden_layers=layers,
            intermediate_size=inner,
            num_attention_heads=width // 64,
            num_key_value_heads=width // 64,
            tie_word_embeddings=True,
            max_position_embeddings=2048,
        )
    )


def _gemma(vocabulary: int) -> PreTrainedModel:
    return Gemma3ForCausalLM(
        Gemma3TextConfig(
            vocab_size=vocabulary,
            hidden_size=256,
            num_hidden_layers=6,
            intermediate_size=1024,
            num_attention_heads=4,
            num_key_value_heads=1,
            head_dim=64,
            sliding_window=512,
            max_position_embeddings=2048,
        )
    )


SHAPES: Mapping[str, Callable[[], PreTrainedModel]] = {
    "llama-23m": partial(_llama, 32_000, 384, 6, 1024),
    "llama-116m": partial(_llama, 32_000, 768, 12, 2304),
    "gemma3-72m-vocabulary-262144": partial(_gemma, 262_144),
}


@dataclass(kw_only=True)
class Measured:
    """What one engine took, and said."""

    seconds: float
    answers: Answers
    tokens: int = 0
    parts: dict[str, float] = field(default_factory=dict)
    """Seconds by kind of work; `trying out` is forward passes too."""
    operations: float = 0
    """Floating-point operations of the forward passes, in matrix products with weights."""


def main() -> None:
    """Measure what the command line asks for, print a line each, and write them where it says."""
    given = _arguments()
    disable_progress_bar()
    torch.set_num_threads(given.threads)
    if given.alone:
        print(_alone(given))
        return
    found = _on_real(given) if given.real else _on_random(given)
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n")


def _on_random(given: argparse.Namespace) -> dict[str, Any]:
    rows, memory = [], []
    for shape in given.models:
        with tempfile.TemporaryDirectory() as folder:
            _make(shape, Path(folder))
            if given.memory:
                memory.append(_memory(shape, folder, given))
            else:
                rows += _compared(shape, Path(folder), "float32", given)[0]
    return {"rows": rows, "memory": memory}


def _on_real(given: argparse.Namespace) -> dict[str, Any]:
    rows, answers = [], {}
    for dtype in given.dtypes:
        found, said = _compared(given.real.name, given.real, dtype, given)
        rows += found
        answers |= {f"{who}, {dtype}": each for who, each in said.items()}
    differences = _differences(given.questions, answers)
    for each in differences:
        print(json.dumps(each), flush=True)
    _hold_ours_no_noisier(differences)
    return {"rows": rows, "differences": differences}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=int, default=817, help="the first so many questions")
    parser.add_argument("--models", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS))
    parser.add_argument("--real", type=Path, help="the folder of a trained model, instead of random ones")
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"], help="of the trained model")
    parser.add_argument(
        "--peer-batches",
        nargs="+",
        type=int,
        default=[1],
        help="batch sizes of the peers; 1 is lm-eval's own",
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--memory", action="store_true", help="compare peak memory instead of time")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    if not os.environ.get("HARNESS_DATA"):
        parser.error("set HARNESS_DATA to the folder of official data")
    return parser.parse_args()


# ---------------------------------------------------------------- what is asked


def _suite(questions: int) -> TruthfulQA:
    root = Path(os.environ["HARNESS_DATA"])
    return TruthfulQA(SuiteSettings(limit=questions), SuiteContext(data_root=root, resolve=lambda name: None))


def _pairs(questions: int) -> list[Pair]:
    """Every choice of mc1 and then of mc2, as lm-eval asks them: what both share is in it twice."""
    asked = ScriptedEngine(likelihood=lambda context, continuation: -1.0)
    rows = sorted(_suite(questions).rows(asked), key=lambda row: row.position)
    contexts = {context.rsplit("Q: ", 1)[1].split("\nA:")[0]: context for context, _ in asked.asked}
    found = []
    for targets in ("mc1_targets", "mc2_targets"):
        for row, question in zip(rows, _suite(questions).items, strict=True):
            assert isinstance(row.sample.prompt, str)
            found += [(contexts[row.sample.prompt], f" {c}") for c in getattr(question, targets).choices]
    assert set(found) == set(asked.asked)
    return found


def _accuracies(questions: int, pairs: Sequence[Pair], answers: Answers) -> dict[str, list[float]]:
    """mc1 and mc2 of every question that follow from these log-likelihoods."""
    known = dict(zip(pairs, (logprob for logprob, _ in answers), strict=True))
    scripted = ScriptedEngine(likelihood=lambda context, continuation: known[context, continuation])
    rows = sorted(_suite(questions).rows(scripted), key=lambda row: row.position)
    scores = [score for row in rows for score in row.scores]
    return {
        name: [score.value for score in scores if score.metric == name and score.value is not None]
        for name in ("mc1", "mc2")
    }


def _make(shape: str, folder: Path) -> None:
    torch.manual_seed(0)
    model = SHAPES[shape]().to(torch.float32)
    model.save_pretrained(folder)
    _tokenizer(min(model.config.vocab_size, 32_000)).save_pretrained(folder)


def _tokenizer(size: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE of the official data's own texts."""
    root = Path(os.environ["HARNESS_DATA"])
    files = ["truthfulqa/multiple_choice.jsonl", "ifeval/input_data.jsonl"]
    files.append("realtoxicityprompts/random_5000.jsonl")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=["<eos>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = (line for name in files for line in (root / name).read_text("utf-8").splitlines())
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<eos>", pad_token="<eos>")


# ---------------------------------------------------------------- who answers


def _ours(folder: Path, pairs: Sequence[Pair], batch: int, dtype: str) -> Measured:
    engine = open_engine(Model(name="ours", source=Local(path=str(folder), dtype=dtype)), device="cpu")
    measured = Measured(seconds=0, answers=[])
    with _timed(measured):
        began = time.perf_counter()
        found = dict(engine.loglikelihood(pairs))
        measured.seconds = time.perf_counter() - began
    measured.answers = [(found[at].logprob, found[at].greedy) for at in range(len(pairs))]
    engine.close()
    return measured


def _lm_eval(folder: Path, pairs: Sequence[Pair], batch: int, dtype: str) -> Measured:
    model = HFLM(pretrained=str(folder), device="cpu", dtype=dtype, batch_size=batch)
    requests = [
        Instance(request_type="loglikelihood", doc={}, arguments=pair, idx=at)
        for at, pair in enumerate(pairs)
    ]
    measured = Measured(seconds=0, answers=[])
    with _counted(model.model, measured):
        began = time.perf_counter()
        measured.answers = [tuple(answer) for answer in model.loglikelihood(requests, disable_tqdm=True)]
        measured.seconds = time.perf_counter() - began
    return measured


def _lighteval(folder: Path, pairs: Sequence[Pair], batch: int, dtype: str) -> Measured:
    docs = [
        Doc(
            query=context,
            choices=[continuation for _, continuation in choices],
            gold_index=0,
            sampling_methods=[SamplingMethod.LOGPROBS],
        )
        for context, choices in groupby(pairs, key=itemgetter(0))
    ]
    measured = Measured(seconds=0, answers=[])
    with tempfile.TemporaryDirectory() as cache, redirect_stderr(StringIO()):  # its progress bars
        model = TransformersModel(
            TransformersModelConfig(
                model_name=str(folder), device="cpu", dtype=dtype, batch_size=batch, cache_dir=cache
            )
        )
        with _counted(model.model, measured), torch.inference_mode():
            began = time.perf_counter()
            found = model._loglikelihood_tokens(docs)  # beneath its cache on disk, which would answer twice
            measured.seconds = time.perf_counter() - began
    for response in found:
        measured.answers += list(zip(response.logprobs, response.argmax_logits_eq_gold, strict=True))
    return measured


PEERS: Mapping[str, Callable[[Path, Sequence[Pair], int, str], Measured]] = {
    "lm-eval": _lm_eval,
    "lighteval": _lighteval,
}


# ---------------------------------------------------------------- what is measured


@contextmanager
def _counted(model: Any, measured: Measured) -> Iterator[None]:
    """Count the positions a peer runs through the model, padding included."""

    def count(module: Any, arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> None:
        tokens = keywords.get("input_ids", arguments[0] if arguments else None)
        measured.tokens += tokens.numel()

    hook = model.register_forward_pre_hook(count, with_kwargs=True)
    try:
        yield
    finally:
        hook.remove()


@contextmanager
def _timed(measured: Measured) -> Iterator[None]:
    """Count our tokens, and time each kind of work on the way."""
    forward = Network.forward

    def counted(self: Network, tokens: torch.Tensor, *rest: Any, keep: Any, **others: Any) -> Any:
        measured.tokens += tokens.numel()
        kept = keep if isinstance(keep, int) else len(keep)
        weights = self.parameters - self.config.vocab_size * self.config.hidden_size
        measured.operations += 2.0 * tokens.numel() * weights
        measured.operations += 2.0 * kept * self.config.vocab_size * self.config.hidden_size
        return clocked("forward passes", measured.parts, forward)(self, tokens, *rest, keep=keep, **others)

    seconds = measured.parts
    with replaced(
        [
            (Network, "forward", counted),
            (Tokens, "scoring_requests", clocked("tokenising", seconds, Tokens.scoring_requests)),
            (tree_scoring, "grow", clocked("planning", seconds, grow)),
            (tree_scoring, "tree_mask", clocked("masks", seconds, tree_scoring.tree_mask)),  # type: ignore[attr-defined]  # patched here
            (tree_scoring, "_looked_up", clocked("log-probabilities", seconds, tree_scoring._looked_up)),
            (trial_results, "try_tree", clocked("trying out", seconds, trial_results.try_tree)),  # type: ignore[attr-defined]  # patched here
        ]
    ):
        yield


def _matrix_speed(dtype: torch.dtype) -> float:
    """Floating-point operations per second of a large product, the best of five."""
    left, right = torch.rand(2048, 2048).to(dtype), torch.rand(2048, 2048).to(dtype)
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        torch.mm(left, right)
        seconds.append(time.perf_counter() - began)
    return 2 * 2048**3 / min(seconds)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the result: us against one peer."""

    model: str
    dtype: str
    peer: str
    peer_batch: int
    questions: int
    threads: int
    seconds: float
    peer_seconds: float
    ratio: float
    tokens: int
    minimum_tokens: int
    peer_tokens: int
    max_abs_difference: float
    mc1: float
    mc2: float
    speed_share: float
    parts: Mapping[str, float]


def _compared(
    model: str, folder: Path, dtype: str, given: argparse.Namespace
) -> tuple[list[dict[str, Any]], dict[str, Answers]]:
    """A row for each peer and batch size, and everybody's answers."""
    pairs = _pairs(given.questions)
    _ours(folder, pairs[:8], 0, dtype)  # what is done once per process is nobody's
    with _forgotten_verdicts():
        ours = _ours(folder, pairs, 0, dtype)
    minimum = _minimum(folder, pairs)
    share = ours.operations / ours.parts["forward passes"] / _matrix_speed(getattr(torch, dtype))
    print(f"{model}, {dtype}: {ours.seconds:.2f} s, {ours.tokens} tokens, {share:.0%} of a matrix product")
    rows, answers = [], {"ours": ours.answers}
    for peer, batch in product(given.peers, given.peer_batches):
        PEERS[peer](folder, pairs[:8], batch, dtype)
        theirs = PEERS[peer](folder, pairs, batch, dtype)
        answers[f"{peer}, batch {batch}"] = theirs.answers
        if dtype == "float32":
            _hold_equal(f"{model}, {peer}", given.questions, pairs, ours.answers, theirs.answers)
        accuracies = _accuracies(given.questions, pairs, ours.answers)
        row = Row(
            model=model,
            dtype=dtype,
            peer=peer,
            peer_batch=batch,
            questions=given.questions,
            threads=given.threads,
            seconds=ours.seconds,
            peer_seconds=theirs.seconds,
            ratio=theirs.seconds / ours.seconds,
            tokens=ours.tokens,
            minimum_tokens=minimum,
            peer_tokens=theirs.tokens,
            max_abs_difference=max(_apart(ours.answers, theirs.answers)),
            speed_share=share,
            parts=ours.parts,
            **{name: fmean(values) for name, values in accuracies.items()},
        )
        print(json.dumps(asdict(row)), flush=True)
        rows.append(asdict(row))
    return rows, answers


@contextmanager
def _forgotten_verdicts() -> Iterator[None]:
    """Let our engine try the model out as if it had never met it: that is part of what it costs."""
    before = os.environ.get("XDG_CACHE_HOME")
    with tempfile.TemporaryDirectory() as cache:
        os.environ["XDG_CACHE_HOME"] = cache
        try:
            yield
        finally:
            del os.environ["XDG_CACHE_HOME"]
            os.environ |= {} if before is None else {"XDG_CACHE_HOME": before}


def _apart(ours: Answers, theirs: Answers) -> list[float]:
    return [abs(one - other) for (one, _), (other, _) in zip(ours, theirs, strict=True)]


def _hold_equal(who: str, questions: int, pairs: Sequence[Pair], ours: Answers, theirs: Answers) -> None:
    apart = max(_apart(ours, theirs))
    assert apart < TOLERANCE, f"{who}: log-likelihoods differ by {apart}"
    assert [greedy for _, greedy in ours] == [greedy for _, greedy in theirs], f"{who}: greedy flags"
    accuracies, others = (_accuracies(questions, pairs, each) for each in (ours, theirs))
    assert accuracies["mc1"] == others["mc1"]
    assert abs(fmean(accuracies["mc2"]) - fmean(others["mc2"])) < 1e-5


def _differences(questions: int, answers: Mapping[str, Answers]) -> list[dict[str, Any]]:
    """How far everybody is from everybody, by log-likelihood and by accuracy."""
    pairs = _pairs(questions)
    accuracies = {who: _accuracies(questions, pairs, each) for who, each in answers.items()}
    found = []
    for one, other in combinations(answers, 2):
        apart = _apart(answers[one], answers[other])
        mc1, mc2 = (
            [b - a for a, b in zip(accuracies[one][name], accuracies[other][name], strict=True)]
            for name in ("mc1", "mc2")
        )
        difference = {
            "between": [one, other],
            "log_likelihood": {"mean": fmean(apart), "rms": _rms(apart), "largest": max(apart)},
            "mc1": {"difference": fmean(mc1), "questions that changed": sum(map(bool, mc1))},
            "mc2": {"difference": fmean(mc2), "rms of a question": _rms(mc2)},
        }
        found.append(difference)
    return found


def _rms(values: Sequence[float]) -> float:
    return fmean(value**2 for value in values) ** 0.5


def _hold_ours_no_noisier(differences: Sequence[Mapping[str, Any]]) -> None:
    """Against our float32 answers, ours in 16 bits are no farther than a peer's, but for a tenth."""
    errors = {
        each["between"][1]: each["log_likelihood"]["rms"]
        for each in differences
        if each["between"][0] == "ours, float32"
    }
    for who, error in errors.items():
        peer, _, dtype = who.rpartition(", ")
        if peer != "ours" and dtype != "float32":
            assert errors[f"ours, {dtype}"] < 1.1 * error, f"{dtype}: ours are noisier than {peer}'s"


def _minimum(folder: Path, pairs: Sequence[Pair]) -> int:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return grow(Tokens(tokenizer, 2048).scoring_requests(pairs)).size


# ---------------------------------------------------------------- memory


def _alone(given: argparse.Namespace) -> int:
    """Peak memory in bytes of this process while scoring, less what it held before the model was loaded."""
    pairs = _pairs(given.questions)
    before = _kilobytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far (man 5 proc)
    ({"ours": _ours} | dict(PEERS))[given.alone](Path(given.folder), pairs, given.peer_batches[0], "float32")
    return 1024 * (_kilobytes("VmHWM") - before)


def _kilobytes(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))


def _memory(shape: str, folder: str, given: argparse.Namespace) -> dict[str, Any]:
    """Peak bytes above the start by engine, each in a process of its own."""
    found: dict[str, Any] = {"model": shape, "weights": Path(folder, "model.safetensors").stat().st_size}
    for who in ("ours", *given.peers):
        command = [sys.executable, "-m", "tests.benchmarks.scoring", "--alone", who, "--folder", folder]
        command += ["--questions", str(given.questions), "--peer-batches", str(given.peer_batches[0])]
        command += ["--threads", str(given.threads)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found[who] = int(done.stdout.split()[-1])
    print(json.dumps(found), flush=True)
    return found


if __name__ == "__main__":
    main()
