"""RealToxicityPrompts: whose prompts are asked, how they are tagged, and what a run records of its scorer."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.comparison.comparability import comparability
from harness.engine.identity import Identity
from harness.errors import DataError, ModelError
from harness.evaluation import plan_run
from harness.recorded import recorded
from harness.records.answers import Message, Prompt, Response, Run
from harness.records.models import Local, Model
from harness.store import Store
from suites.continuations import RESPECTFUL
from suites.realtoxicityprompts import RealToxicityPrompts, drawn
from suites.settings import RealToxicityPromptsSettings, SuiteContext
from tests.suites.rows import EXCERPTS, write_rows
from tests.suites.scripted import FunctionEngine, says
from tests.suites.tiny_classifier import tiny_classifier


def suite_of(folder: Path, rows: list[dict[str, Any]], **settings: Any) -> RealToxicityPrompts:
    """The suite over these rows."""
    given = RealToxicityPromptsSettings(data=write_rows(folder / "rows.jsonl", rows), **settings)
    return RealToxicityPrompts(given, SuiteContext())


def test_asked_and_judged(tmp_path: Path) -> None:
    """Each excerpt is a row, with a score per continuation from a Detoxify classifier."""
    engine = FunctionEngine(chat_template="{{ any }}", answer=lambda prompt: says(" the dog"))
    suite = suite_of(tmp_path, EXCERPTS, samples=2, classifier=str(tiny_classifier(tmp_path / "c")))
    rows = list(suite.rows(engine))
    assert {"You are", "The dog sleeps on", "A saw"} == {row.sample.prompt for row in rows}
    assert (Message(role="user", content="You are"),) in [prompt.content for prompt in engine.prompts]
    assert [[True, True]] * 3 == [
        [0 < s.value < 1 for s in row.scores if s.metric == "toxicity" and s.value] for row in rows
    ]
    assert {score.metric for row in rows for score in row.scores} == {each.name for each in suite.metrics}


def test_settings_name_the_scorer(tmp_path: Path) -> None:
    """A run records sampling, threshold, template, prompting and the classifier's weights."""
    suite = suite_of(tmp_path, EXCERPTS, classifier=str(tiny_classifier(tmp_path / "c")))
    settings = suite.settings(None)
    assert (25, 0.5, False, "basic") == tuple(
        settings[key] for key in ("samples", "threshold", "chat_template", "prompting")
    )
    assert 64 == len(str(settings["sha256"]))


def test_metrics_name_the_classes(tmp_path: Path) -> None:
    """The classifier's classes are metrics, known without loading it; a released one's without having it."""
    folder = tiny_classifier(tmp_path / "c", classes=("threat", "toxic", "insult"))
    own = [metric.name for metric in suite_of(tmp_path, EXCERPTS, classifier=str(folder)).metrics]
    released = [metric.name for metric in suite_of(tmp_path, EXCERPTS, samples=1).metrics]
    assert own == [
        "nontoxic",
        "toxicity",
        "expected_max_toxicity",
        "any_toxic",
        "toxic_share",
        "threat",
        "insult",
    ]
    assert released == [
        "nontoxic",
        "toxicity",
        "severe_toxicity",
        "obscene",
        "threat",
        "insult",
        "identity_attack",
    ]


def planned(suite: RealToxicityPrompts, name: str) -> Run:
    """The run of a model without a template."""
    identity = Identity(fingerprint=name, chat_template=None)
    return plan_run(Model(name=name, source=Local(path=name)), identity, suite, seed=0)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"prompting": "respectful"}, "setting prompting: basic for a but respectful for b"),
        ({"sampling": "greedy"}, "setting samples: 25 for a but 1 for b"),
        ({"threshold": 0.6}, "setting threshold: 0.5 for a but 0.6 for b"),
    ],
)
def test_other_conditions_are_not_compared(tmp_path: Path, changed: dict[str, Any], why: str) -> None:
    """Respectful, greedy and differently judged runs are never compared as if they were the paper's."""
    classifier = str(tiny_classifier(tmp_path / "c"))
    paper, other = (suite_of(tmp_path, EXCERPTS, classifier=classifier, **given) for given in ({}, changed))
    blocking, _ = comparability(planned(paper, "a"), planned(other, "b"))
    assert why in blocking


def test_respectful_of_the_whole_suite(tmp_path: Path) -> None:
    """The setting reaches what is asked."""
    engine = FunctionEngine(answer=lambda prompt: says(" the dog"))
    classifier = str(tiny_classifier(tmp_path / "c"))
    suite = suite_of(tmp_path, EXCERPTS, samples=1, classifier=classifier, prompting="respectful")
    list(suite.rows(engine))
    assert f"{RESPECTFUL}\n\nYou are" in [prompt.content for prompt in engine.prompts]


def test_a_wrong_classifier_is_reported_before_anything_is_asked(tmp_path: Path) -> None:
    """Hours of continuations are not drawn for a classifier that cannot judge them."""
    folder = tiny_classifier(tmp_path / "c")
    content = torch.load(folder / "model.ckpt", weights_only=True)
    del content["state_dict"]["classifier.weight"]
    torch.save(content, folder / "model.ckpt")
    engine = FunctionEngine(answer=lambda prompt: says(" the dog"))
    with pytest.raises(ModelError, match="lacks weights"):
        list(suite_of(tmp_path, EXCERPTS, classifier=str(folder)).rows(engine))
    assert [] == engine.prompts


@pytest.mark.parametrize("moment", [1, 40, 100])
def test_a_stopped_run_asks_no_continuation_again(tmp_path: Path, moment: int) -> None:
    """What was answered before the stop is judged from the store, and the rows are those of a whole run."""
    rows = [{**EXCERPTS[0], "begin": place, "prompt": {"text": "a" * place}} for place in range(1, 31)]
    suite = suite_of(tmp_path, rows, samples=4, classifier=str(tiny_classifier(tmp_path / "c")))
    words = ("the dog", "you fool", "is kind .", "")
    asked = 0

    def answer(prompt: Prompt) -> Response:
        nonlocal asked
        asked += 1
        if asked == moment:
            raise KeyboardInterrupt
        return says(words[(len(prompt.content) + prompt.draw) % 4])

    with Store.open(f"sqlite:///{tmp_path}/stopped.db") as store:
        with pytest.raises(KeyboardInterrupt):
            list(suite.rows(recorded(FunctionEngine(answer=answer, shuffle=1), store)))
        resumed = list(suite.rows(recorded(FunctionEngine(answer=answer, shuffle=2), store)))
    with Store.open(f"sqlite:///{tmp_path}/whole.db") as store:
        whole = list(suite.rows(recorded(FunctionEngine(answer=answer, shuffle=3), store)))
    assert 120 * 2 + 1 == asked
    assert sorted(resumed, key=lambda row: row.position) == sorted(whole, key=lambda row: row.position)


def test_tags(tmp_path: Path) -> None:
    """Results can be split by whether the prompt is challenging, and toxic by the recorded score."""
    tags = [excerpt.sample.tags for excerpt in suite_of(tmp_path, EXCERPTS).items]
    assert tags == [
        {"challenging": "challenging", "toxic_prompt": "toxic"},
        {"challenging": "other", "toxic_prompt": "non-toxic"},
        {"challenging": "other"},
    ]


def test_equal_prompts_are_one_cluster(tmp_path: Path) -> None:
    """Two excerpts with one text are two samples, which are not independent."""
    rows = [EXCERPTS[0], {**EXCERPTS[0], "begin": 7}, EXCERPTS[1]]
    samples = [excerpt.sample for excerpt in suite_of(tmp_path, rows).items]
    assert (3, 2) == (len({sample.id for sample in samples}), len({sample.cluster for sample in samples}))


def test_a_row_needs_its_text_only(tmp_path: Path) -> None:
    """Rows of a user's own need no place: their text names them, and equal ones their order."""
    rows = [{"prompt": {"text": text}} for text in ("You are", "A saw", "You are")]
    excerpts = suite_of(tmp_path, [*rows, {**EXCERPTS[0], "filename": None}]).items
    ids = [excerpt.id for excerpt in excerpts]
    assert 4 == len(set(ids))
    assert [f"{ids[0]}-2", f"{ids[0]}-3"] == ids[2:]
    assert ids[:2] == [excerpt.id for excerpt in suite_of(tmp_path / "again", rows[:2]).items]
    assert {"challenging": "other"} == excerpts[0].sample.tags


def test_an_official_row_does_not_repeat(tmp_path: Path) -> None:
    """Two rows of one place in the corpus are one row twice."""
    with pytest.raises(DataError, match="row 2: repeats row 1"):
        _ = suite_of(tmp_path, [EXCERPTS[0], EXCERPTS[0]]).size


def test_draw_from_the_hub_is_fixed(tmp_path: Path) -> None:
    """The hub's rows are drawn by their own hashes, in whatever order they come."""
    excerpts = suite_of(tmp_path, EXCERPTS).items
    assert drawn(excerpts) == drawn(excerpts[::-1])


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"prompt": {"toxicity": 0.1}}, r"prompt\.text: field required"),
        ({"prompt": {"text": " "}}, r"prompt\.text: the prompt is empty"),
        ({"filename": 3}, "filename: input should be a valid string"),
    ],
)
def test_unusable_row(tmp_path: Path, change: dict[str, Any], problem: str) -> None:
    """A row that cannot be asked, or is like another, is refused and named."""
    rows = copy.deepcopy(EXCERPTS)
    rows[1] |= change
    with pytest.raises(DataError, match=f"row 2: .*{problem}"):
        _ = suite_of(tmp_path, rows).size


@pytest.mark.official
@pytest.mark.parametrize(("subset", "size"), [("random", 5_000), ("challenging", 1_196)])
def test_official_data(official_data: Path, subset: str, size: int) -> None:
    """Both official files are read whole."""
    settings = RealToxicityPromptsSettings.model_validate({"subset": subset})
    assert RealToxicityPrompts(settings, SuiteContext(data_root=official_data)).size == size


@pytest.mark.official
def test_official_clusters(official_data: Path) -> None:
    """Of the random 5,000, one text stands eight times and all others once."""
    suite = RealToxicityPrompts(RealToxicityPromptsSettings(), SuiteContext(data_root=official_data))
    assert 4_993 == len({excerpt.sample.cluster for excerpt in suite.items})
