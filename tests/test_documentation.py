"""The README cannot lie: every verb and every option that it shows exists, and its Python runs."""

import re
from pathlib import Path
from typing import Any

import lm_eval
import pytest
from datasets import Dataset
from lm_eval.tasks import TaskManager

from harness.adaptors.lm_eval.definitions import TASKS
from harness.cli import VERBS, main
from tests.tiny_models import tiny_llama

README = Path(__file__).parent.parent / "README.md"
COMMANDS = re.findall(r"^ +harness +(\w+)(.*?)(?: +#.*)?$", README.read_text(encoding="utf-8"), re.MULTILINE)

SNIPPETS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def shown_by(command: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The help of a command."""
    with pytest.raises(SystemExit) as stopped:
        main([*command, "--help"])
    assert not stopped.value.code
    return capsys.readouterr().out


def test_every_verb_is_shown() -> None:
    """No verb is left out of the README."""
    assert set(VERBS) == {verb for verb, _ in COMMANDS}


@pytest.mark.parametrize(("verb", "rest"), COMMANDS)
def test_commands_exist(verb: str, rest: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every command line of the README names a verb and options that its help explains."""
    explained = shown_by([verb], capsys)
    assert verb in VERBS
    word = next(iter(rest.split()), "-")
    if f"Usage: harness {verb} [OPTIONS] COMMAND" in explained and not word.startswith("-"):
        explained = shown_by([verb, word], capsys)
    for option in re.findall(r"(?<!\S)--?[a-z][\w-]*", rest):
        assert re.search(rf"(?<!\S){re.escape(option)}\b", explained), f"{verb} has no {option}"


def snippet(about: str) -> str:
    """The README's Python that speaks of something."""
    [found] = [text for text in SNIPPETS if about in text]
    return str(found)


def test_the_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its lines compare two models of a project, and give the frame that they say."""
    monkeypatch.chdir(tmp_path)
    settings = ['[compare]\nsuites = ["toy-truthfulqa"]\n[suites.toy-truthfulqa]\nlimit = 4\n']
    for seed, name in enumerate(("sft", "grpo_dpo")):
        tiny_llama(tmp_path / name, seed=seed)
        settings.append(f'[models.{name}]\npath = "./{name}"\n')
    Path("harness.toml").write_text("".join(settings))
    names: dict[str, Any] = {}

    exec(snippet("import harness\n"), names)

    assert names["outcome"].verdicts[0].reason
    assert {"sft", "grpo_dpo"} == set(names["scores"]["model"])


def test_other_frameworks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """lm-eval evaluates with our engine as shown, here on rows of its task that need no download; what the
    comments hand to deepeval and lighteval can be made."""
    monkeypatch.chdir(tmp_path)
    tiny_llama(tmp_path / "sft", seed=0)
    text = snippet("simple_evaluate")
    given: list[str] = []
    results: dict[str, Any] = {}
    evaluate = lm_eval.simple_evaluate

    def evaluate_offline(*, model: object, tasks: list[str]) -> None:
        given.extend(tasks)
        results.update(
            evaluate(
                model=model,
                tasks=[
                    {
                        "group": "shown",
                        "task": [{"task": name, "custom_dataset": hellaswag} for name in tasks],
                    }
                ],
                task_manager=TaskManager(include_path=TASKS / "hellaswag", include_defaults=False),
                bootstrap_iters=0,
            )
        )

    monkeypatch.setattr(lm_eval, "simple_evaluate", evaluate_offline)
    names: dict[str, Any] = {}

    exec(text, names)

    assert ["hellaswag"] == given
    assert 0 <= results["results"]["hellaswag"]["acc,none"] <= 1
    others = re.findall(r"model=(Engine\w+\(.*\))\)$", text, re.MULTILINE)
    assert 2 == len([eval(other, names) for other in others])


def hellaswag(**_: object) -> dict[str, Dataset]:
    """Two rows in the task's own form."""
    endings = ["a meal.", "a stone.", "the moon.", "a song."]
    rows = [
        {"activity_label": "Cooking", "ctx_a": "A man", "ctx_b": "cooks", "endings": endings, "label": label}
        for label in ("0", "3")
    ]
    return {"train": Dataset.from_list(rows), "validation": Dataset.from_list(rows)}
