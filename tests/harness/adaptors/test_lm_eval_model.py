"""Our engine as a model inside lm-eval gives what lm-eval's own `hf` backend gives on the same checkpoint."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.evaluator import simple_evaluate
from lm_eval.tasks import TaskManager

from harness.adaptors.lm_eval.definitions import TASKS
from harness.adaptors.lm_eval.model import EngineLM
from harness.engine.local.engine import open_local
from harness.errors import EngineError, UsageError
from harness.records.answers import Response, SamplingParameters
from harness.records.models import Local, Model
from tests.suites.rows import QUESTIONS
from tests.suites.scripted import FunctionEngine, says
from tests.tiny_models import tiny_gpt2, tiny_llama

APPLES = [
    {"question": f"{n} apples and one more?", "answer": f"{n} + 1 = {n + 1}\n#### {n + 1}"} for n in range(3)
]
DOCUMENTS: Mapping[str, list[dict[str, Any]]] = {
    "truthfulqa_mc1": QUESTIONS,
    "truthfulqa_mc2": QUESTIONS,
    "gsm8k": APPLES,
}
PAGES = [{"page": "The quick brown fox jumps over the lazy dog."}, {"page": "A hammer drives nails."}]
SHORT = {"generation_kwargs": {"until": ["\n\n"], "do_sample": False, "max_gen_toks": 12}, "num_fewshot": 0}


@pytest.mark.parametrize("template", [True, False], ids=["template", "no template"])
def test_tasks_agree(template: bool, tmp_path: Path) -> None:
    """Log-likelihoods within 1e-4, equal scores and identical texts, through lm-eval's own evaluator."""
    path = tiny_llama(tmp_path / "model", bos=True, chat_template=template, max_length=2048)
    theirs, ours = (evaluated(model, DOCUMENTS, template) for model in (hf(path), engine_lm(path)))
    for task in ("truthfulqa_mc1", "truthfulqa_mc2"):
        assert [pytest.approx(logprob, abs=1e-4) for logprob, _ in answers(theirs, task)] == [
            logprob for logprob, _ in answers(ours, task)
        ]
        assert [greedy for _, greedy in answers(theirs, task)] == [
            greedy for _, greedy in answers(ours, task)
        ]
    assert answers(theirs, "gsm8k") == answers(ours, "gsm8k")
    assert any(answers(ours, "gsm8k"))
    for task in DOCUMENTS:
        assert numbers(theirs, task) == pytest.approx(numbers(ours, task), abs=1e-6)


def test_rolling_agrees(tmp_path: Path) -> None:
    """A text within the window has the perplexity that lm-eval's own backend finds."""
    path = tiny_gpt2(tmp_path / "model", bos=False, max_length=256)
    theirs, ours = (evaluated(model, {"wikitext": PAGES}, False) for model in (hf(path), engine_lm(path)))
    assert numbers(theirs, "wikitext") == pytest.approx(numbers(ours, "wikitext"), rel=1e-5)


def test_rolling_beyond_the_window(tmp_path: Path) -> None:
    """A text that does not fit is refused, with what to do, and never given a wrong number."""
    model = engine_lm(tiny_gpt2(tmp_path / "model", max_length=32))
    with pytest.raises(EngineError, match=r"does not fit the model's window: .* lm-eval's own model class"):
        model.loglikelihood_rolling([instance("loglikelihood_rolling", "a saw, a hammer, " * 20)])


def test_all_at_once() -> None:
    """All log-likelihoods of a call are asked in one call, equal ones once, and come in lm-eval's order."""
    engine = FunctionEngine(shuffle=3)
    asked = [instance("loglikelihood", "context", text) for text in ("one", "three", "one", "eleven")]
    assert [(-3.0, False), (-5.0, False), (-3.0, False), (-6.0, False)] == EngineLM(engine).loglikelihood(
        asked
    )
    assert [("context", "one"), ("context", "three"), ("context", "eleven")] == engine.pairs


def test_repeats_are_draws() -> None:
    """A request that lm-eval repeats is drawn as often, from the seed; settings of one kind go together."""
    engine = FunctionEngine(answer=lambda prompt: says(f"{prompt.content}{prompt.draw}"))
    sampled = {"do_sample": True, "temperature": 0.5, "max_gen_toks": 4, "until": ["\n"]}
    asked = [instance("generate_until", text, sampled) for text in ("a", "a", "b", "a")]
    assert ["a0", "a1", "b0", "a2"] == EngineLM(engine, seed=7).generate_until(asked)
    assert [SamplingParameters(max_tokens=4, temperature=0.5, stop=("\n",), seed=7)] == engine.samplings


def test_a_missing_answer_is_an_error() -> None:
    """lm-eval would score an empty text; a refusal stops it instead."""
    engine = FunctionEngine(answer=lambda prompt: Response(text="", stop_reason="refused", reason="policy"))
    with pytest.raises(EngineError, match="one is missing: refused: policy"):
        EngineLM(engine).generate_until([instance("generate_until", "a", {})])


def test_chat_template() -> None:
    """Turns are rendered by the engine, left open where lm-eval asks for it; no template goes by name."""
    model = EngineLM(FunctionEngine(chat_template="{{ any }}"))
    turns = [{"role": "user", "content": "Why?"}]
    assert "<user>Why?<assistant>" == model.apply_chat_template(turns)
    assert "<user>Why?" == model.apply_chat_template(turns, add_generation_prompt=False)
    assert ("{{ any }}", None) == (model.chat_template(True), model.chat_template(False))
    with pytest.raises(UsageError, match="by name"):
        model.chat_template("tool_use")


def instance(kind: Any, *arguments: Any) -> Instance:
    """A request as lm-eval hands it over."""
    return Instance(request_type=kind, doc={}, arguments=arguments, idx=0, metadata=("a task", 0, 1))


def hf(path: Path) -> tuple[str, dict[str, Any]]:
    """lm-eval's own model class."""
    return "hf", {"pretrained": str(path), "dtype": "float32"}


def engine_lm(path: Path) -> EngineLM:
    """Ours."""
    source = Local(path=str(path), dtype="float32")
    return EngineLM(open_local(Model(name="tiny", source=source), source, device="cpu"))


def evaluated(
    model: LM | tuple[str, dict[str, Any]], documents: Mapping[str, list[dict[str, Any]]], template: bool
) -> Any:
    """What lm-eval's evaluator reports over these rows."""
    members = [
        {
            "task": task,
            "custom_dataset": lambda rows=rows, **_: defaultdict(lambda: Dataset.from_list(rows)),
            **(SHORT if task == "gsm8k" else {}),
        }
        for task, rows in documents.items()
    ]
    named, arguments = model if isinstance(model, tuple) else (model, None)
    folders = [TASKS / name for name in ("truthfulqa", "gsm8k", "wikitext")]
    return simple_evaluate(
        model=named,
        model_args=arguments,
        tasks=[{"group": "reference", "task": members}],
        task_manager=TaskManager(include_path=folders, include_defaults=False),
        apply_chat_template=template,
        batch_size=1 if arguments else None,
        device="cpu" if arguments else None,
        bootstrap_iters=0,
    )


def answers(results: Any, task: str) -> list[Any]:
    """Every raw answer, in the order of documents and requests."""
    ordered = sorted(results["samples"][task], key=lambda sample: sample["doc_id"])
    return [response for sample in ordered for (response,) in sample["resps"]]


def numbers(results: Any, task: str) -> dict[str, float]:
    """Every metric's mean."""
    found = results["results"][task]
    return {name: value for name, value in found.items() if isinstance(value, float)}
