"""What `inspect_ai` itself logs, imported: its own means, in both of its formats."""

import json
from pathlib import Path

import pytest

pytest.importorskip("inspect_ai", reason="inspect_ai, which the extra `lighteval` brings, is not installed")

from inspect_ai import Task
from inspect_ai import eval as evaluated
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.log import EvalLog
from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessageAssistant,
    ContentReasoning,
    ContentText,
    ModelOutput,
    ModelUsage,
    get_model,
)
from inspect_ai.scorer import Score, Scorer, Target, accuracy, choice, match, mean, scorer, stderr
from inspect_ai.solver import Generate, Solver, TaskState, generate, multiple_choice, solver, system_message

from harness.records.answers import Response
from harness.store import Store
from tests.working import Working

SUMS = [
    Sample(id=number, input=f"What is {number} + {number}?", target=str(2 * number)) for number in range(12)
]


def output(text: str, stop: str = "stop") -> ModelOutput:
    """A thought and an answer. Without `usage`, inspect's mock model would download a tokenizer."""
    content = [ContentReasoning(reasoning="Hm."), ContentText(text=text)]
    message = ChatMessageAssistant(content=content)
    return ModelOutput(
        choices=[ChatCompletionChoice(message=message, stop_reason=stop)],
        usage=ModelUsage(input_tokens=12, output_tokens=5, total_tokens=17),
    )


@scorer(metrics=[mean(), stderr()])  # type: ignore[untyped-decorator]  # an extra's
def graded() -> Scorer:
    """Every grade, and none."""

    async def score(state: TaskState, target: Target) -> Score:
        number = int(state.sample_id)
        if number == 4:
            return Score.unscored(reason="grader_failed")
        return Score(value="CPIN"[number % 4])

    return score


@scorer(metrics={"words": [mean()], "brief": [accuracy()]})  # type: ignore[untyped-decorator]  # the same
def several() -> Scorer:
    """Two values."""

    async def score(state: TaskState, target: Target) -> Score:
        words = len(state.output.completion.split())
        return Score(value={"words": words, "brief": words < 2})

    return score


@solver  # type: ignore[untyped-decorator]  # the same
def failing() -> Solver:
    """Fails in one sample, whatever is asked."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        if state.sample_id == 7:
            raise RuntimeError("no such tool")
        return state

    return solve


def logged(folder: Path, name: str, task: Task, answers: list[str], *, fail: bool = False) -> EvalLog:
    """What `inspect eval` does, one sample after the other."""
    [log] = evaluated(
        task,
        model=get_model(f"mockllm/{name}", custom_outputs=[output(each) for each in answers]),
        log_dir=str(folder),
        log_format="json" if name == "right" else "eval",
        display="none",
        max_connections=1,
        max_samples=1,
        fail_on_error=fail,
    )
    return log


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Working:
    """An empty project, in whose folder logs are written."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))  # where inspect keeps traces
    (tmp_path / "harness.toml").write_text("")
    return Working(tmp_path, capsys)


def imported(project: Working, log: EvalLog, name: str) -> str:
    """What the command says."""
    code, out, err = project.run("import", log.location, "--as", name)
    assert code == 0, err
    return " ".join(out.split())


def test_the_means_are_inspects(project: Working) -> None:
    """Of grades, numbers and several values, over two epochs, with what is unscored and what failed."""
    sums = Task(
        dataset=MemoryDataset(SUMS),
        solver=[system_message("Be brief."), failing(), generate()],
        scorer=[match(), graded(), several()],
        epochs=2,
        name="sums",
    )
    for name, right in (("left", 3), ("right", 20)):
        answers = [str(2 * (place // 2)) if place < right else "no idea" for place in range(24)]
        log = logged(project.folder / "logs", name, sums, answers)
        assert log.results is not None
        said = imported(project, log, name)
        assert "unscored by how they ended: 2 (error) of 24 answers" in said
        assert "in the log's results, and the mean" not in said
        theirs = {
            each.name if each.name == each.scorer else f"{each.scorer}/{each.name}": figure.value
            for each in log.results.scores
            for figure in each.metrics.values()
            if figure.name in ("accuracy", "mean")
        }
        assert means(name) == pytest.approx(theirs)
    code, out, err = project.run("report", "left", "right", "--json")
    assert code == 0, err
    [verdict] = json.loads(out)["verdicts"]
    by_name = {each["metric"]["name"]: each for each in verdict["comparisons"]}
    assert {each["n"] for each in by_name.values()} == {10, 11}
    assert by_name["graded"]["unscored"] == 4
    [first, *_] = project.rows("right", "inspect:sums")
    drawn = [each for each in first.responses if isinstance(each, Response)]
    assert [each.thought for each in drawn] == ["Hm.", "Hm."]
    assert drawn[0].text == "0"


def means(model: str) -> dict[str, float]:
    """Of what is in the store: as inspect does, of each sample's epochs first."""
    with Store.open("sqlite:///harness.db") as store:
        run = store.runs.latest(model, "inspect:sums")
        assert run is not None
        observed = store.runs.observations(run.id)
    found = {}
    for metric, seen in observed.items():
        samples: dict[str, list[float]] = {}
        for each in seen:
            if each.value is not None:
                samples.setdefault(each.sample, []).append(each.value)
        found[metric] = sum(sum(of) / len(of) for of in samples.values()) / len(samples)
    return found


def test_a_run_that_ended_in_an_error(project: Working) -> None:
    """What it has is imported, and what it lacks said."""
    task = Task(dataset=MemoryDataset(SUMS), solver=[failing(), generate()], scorer=match(), name="sums")
    log = logged(project.folder / "logs", "left", task, ["0"] * 12, fail=True)
    assert log.status == "error"
    said = imported(project, log, "part")
    assert "12 samples of inspect_ai" in said
    assert "note: sums: the log, whose status is error (RuntimeError('no such tool')), lacks " in said


def test_shuffled_choices_pair(project: Working) -> None:
    """As inspect shuffles them, which changes the letters of the right ones."""
    texts = ["stone", "apple", "brick", "glass"]
    for seed, name in enumerate(("left", "right")):
        questions = [
            Sample(id=number, input=f"Fruit {number}?", choices=texts, target="B") for number in range(6)
        ]
        dataset = MemoryDataset(questions)
        dataset.shuffle_choices(seed=seed)
        task = Task(dataset=dataset, solver=multiple_choice(), scorer=choice(), name="sums")
        imported(project, logged(project.folder / "logs", name, task, ["ANSWER: B"] * 6), name)
    code, out, err = project.run("report", "left", "right", "--json")
    assert code == 0, err
    [verdict] = json.loads(out)["verdicts"]
    [comparison] = verdict["comparisons"]
    assert (comparison["n"], comparison["unpaired"]) == (6, 0)
    for name in ("left", "right"):
        assert {row.sample.target for row in project.rows(name, "inspect:sums")} == {"apple"}
