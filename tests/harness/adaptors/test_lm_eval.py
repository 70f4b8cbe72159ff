"""Loading lm-eval's tasks, and reading their generation settings."""

import random
from typing import Any

import pytest

from harness.adaptors.engine_requests import TaskRows
from harness.adaptors.lm_eval.definitions import TASKS
from harness.adaptors.lm_eval.sampling import sampling_of
from harness.adaptors.lm_eval.tasks import TaskMetric, ask, load_task  # type: ignore[attr-defined]  # patched here
from harness.errors import DownloadNeeded, UnknownName, UsageError
from harness.protocols import SERVED_TEMPLATE
from harness.records.answers import Message, SamplingParameters
from tests.suites.rows import QUESTIONS
from tests.suites.scripted import FunctionEngine


@pytest.mark.parametrize(
    ("kwargs", "sampling"),
    [
        ({}, SamplingParameters(max_tokens=256)),
        ({"until": "\n", "max_gen_toks": 9}, SamplingParameters(max_tokens=9, stop=("\n",))),
        ({"until": ["a", "", "b"], "max_new_tokens": 3}, SamplingParameters(max_tokens=3, stop=("a", "b"))),
        ({"do_sample": False, "temperature": 0.7}, SamplingParameters(max_tokens=256)),
        ({"do_sample": True, "temperature": 0.7}, SamplingParameters(max_tokens=256, temperature=0.7)),
        (
            {"temperature": 1, "top_p": 0.9, "top_k": 5},
            SamplingParameters(max_tokens=256, temperature=1.0, top_p=0.9, top_k=5),
        ),
    ],
)
def test_generation_settings(kwargs: dict[str, Any], sampling: SamplingParameters) -> None:
    """lm-eval's names and defaults become ours, and sampling is off where it says so."""
    assert sampling_of("task", kwargs, 0) == sampling


def test_unknown_generation_setting() -> None:
    """A setting that would change answers is refused, not dropped."""
    with pytest.raises(UsageError, match=r"'task' .* we do not have: num_beams, repetition_penalty"):
        sampling_of("task", {"repetition_penalty": 1.2, "num_beams": 4}, 0)


def test_unknown_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """The nearest task is proposed. (To read all definitions takes seconds; here there are few.)"""
    monkeypatch.setattr("harness.adaptors.lm_eval.definitions.TASKS", TASKS / "hellaswag")
    with pytest.raises(UnknownName, match="did you mean 'hellaswag'"):
        load_task("helaswag")


def test_group(monkeypatch: pytest.MonkeyPatch) -> None:
    """A group is no task; its members are named. (Of all definitions, only its own are read.)"""
    monkeypatch.setattr("harness.adaptors.lm_eval.definitions.TASKS", TASKS / "truthfulqa")
    with pytest.raises(UsageError, match="name its members: truthfulqa_gen, truthfulqa_mc1, truthfulqa_mc2"):
        load_task("truthfulqa")


def test_hub_without_network() -> None:
    """A task without documents says how to give them."""
    with pytest.raises(DownloadNeeded, match="set `data` to a JSONL file"):
        load_task("hellaswag")


def test_rolling_is_refused() -> None:
    """Perplexity of whole texts is not offered."""
    with pytest.raises(UsageError, match="rolling log-likelihoods"):
        load_task("wikitext", TaskRows([{"page": "A text."}]))


def test_versions_and_metrics() -> None:
    """Version and metrics are the task's; a number that its own scoring makes is not taken for binary."""
    mc1, mc2 = (load_task(f"truthfulqa_{kind}", TaskRows(QUESTIONS)) for kind in ("mc1", "mc2"))
    assert (mc1.version, mc2.version) == ("2.0", "3.0")
    assert mc1.metrics == (TaskMetric(name="acc", higher_is_better=True, binary=True),)
    assert mc2.metrics == (TaskMetric(name="acc", higher_is_better=True, binary=False),)


def test_quiet_and_without_traces(capfd: pytest.CaptureFixture[str]) -> None:
    """No progress bars or warnings, and the process's random state is as it was."""
    before = random.getstate()
    list(ask([load_task("truthfulqa_mc1", TaskRows(QUESTIONS))], FunctionEngine(), chat_template=False))
    assert capfd.readouterr() == ("", "")
    assert random.getstate() == before


def test_asking_twice_gives_the_same() -> None:
    """A task can be asked again, and nothing is left over from before."""
    task = load_task("truthfulqa_mc1", TaskRows(QUESTIONS))
    first, second = (list(ask([task], FunctionEngine(), chat_template=False)) for _ in range(2))
    assert first == second


IFEVAL = [
    {"key": 1, "prompt": "Say hi.", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]},
    {"key": 2, "prompt": "Say no.", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]},
]


def test_a_service_is_given_the_turns() -> None:
    """Where the service applies the chat template, nothing is rendered here, and the prompt is turns."""
    engine = FunctionEngine(chat_template=SERVED_TEMPLATE)
    task = load_task("ifeval", TaskRows(IFEVAL))
    list(ask([task], engine, chat_template=True))
    assert [(Message(role="user", content="Say hi."),), (Message(role="user", content="Say no."),)] == [
        prompt.content for prompt in engine.prompts
    ]
