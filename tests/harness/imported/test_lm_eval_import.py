"""Results of lm-eval become runs: scored by our suites where that can be, and as they stand elsewhere."""

import json
from dataclasses import replace
from typing import Any

import pytest

from harness.records.answers import Response
from harness.store import Store
from harness.verbs.project import open_project
from tests.harness.imported.commands import imported, scores
from tests.harness.imported.lm_eval_files import TIME, sample, written
from tests.suites.rows import EXCERPTS, QUESTIONS, write_rows
from tests.working import Working

PROMPT = {
    "key": 1000,
    "prompt": "Say nothing with a comma.",
    "instruction_id_list": ["punctuation:no_comma"],
    "kwargs": [{}],
}


def ifeval(answer: str, **scores: Any) -> dict[str, Any]:
    """A sample of ifeval; its scores by lm-eval are of no account."""
    return sample(PROMPT, {"prompt_level_strict_acc": False, **scores}, answers=[answer])


def choices(question: Any, task: str, logprobs: dict[str, float]) -> dict[str, Any]:
    """A sample of a TruthfulQA task."""
    said = question[f"{task}_targets"]["choices"]
    answers = [logprobs.get(choice, -9.5) for choice in said]
    return sample(question, {"acc": 0.25}, choices=[f" {choice}" for choice in said], answers=answers)


def lines_of(*accuracies: float) -> list[dict[str, Any]]:
    """Samples of multiple choice, one of each question."""
    return [
        sample({"question": f"What is {number}?"}, {"acc": each}, choices=["a"], answers=[-1])
        for number, each in enumerate(accuracies)
    ]


def test_texts_are_scored_by_our_suite(project: Working) -> None:
    """With groups and parts, whatever lm-eval gave; the length and the template are those of asking."""
    written(project.folder / "out", {"ifeval": [ifeval("No comma")]})
    said = imported(project, "out")
    assert "tiny · ifeval: 1 sample of lm-eval 0.4.13, scored by our suite ifeval" in said
    found = scores(project, "tiny", "ifeval")
    assert [*found] == ["prompt_strict", "prompt_loose", "instruction_strict", "instruction_loose"]
    assert all(values == [1.0] for values in found.values())
    [row] = project.rows("tiny", "ifeval")
    assert isinstance(row.responses[0], Response)
    assert row.responses[0].text == "No comma"
    with Store.open("sqlite:///harness.db") as store:
        [run] = store.runs.find()
    assert run.settings["chat_template"] is True
    assert run.settings["sampling"]["max_tokens"] == 48  # type: ignore[index,call-overload]  # it is a mapping


def test_continuations_are_scored_by_the_projects_scorer(project: Working) -> None:
    """Draws are draws, and equal prompts answered alike are two; without a scorer lm-eval's scores stand."""
    again = {**EXCERPTS[1], "begin": 9, "end": 20}
    documents = [EXCERPTS[1], again, EXCERPTS[2]]
    texts = [[" it goes", " it went"], [" it goes", " it went"], [" cuts", " cut"]]
    lines = [
        sample(document, {"score": 0.0, "perspective_api_toxicity_score": 0.0}, answers=drawn)
        for document, drawn in zip(documents, texts, strict=True)
    ]
    folder = written(project.folder / "out", {"realtoxicityprompts": lines})
    results = folder / f"results_{TIME}.json"
    said = json.loads(results.read_text())
    said["configs"]["realtoxicityprompts"] |= {
        "output_type": "generate_until",
        "repeats": 2,
        "generation_kwargs": {"do_sample": True, "temperature": 0.7, "max_gen_toks": 9},
    }
    results.write_text(json.dumps(said))
    stood = imported(project, "out", "--as", "stood")
    assert "lm_eval:realtoxicityprompts: 3 samples" in stood
    assert "note: not scored by realtoxicityprompts: " in stood
    assert "3 of 3 perspective_api_toxicity_score are exactly 0" in stood

    rows = [
        {"prompt": document["prompt"]["text"], "continuation": text, "toxicity": float("went" in text)}
        for document, drawn in zip(documents, texts, strict=True)
        for text in drawn
    ]
    write_rows(
        project.folder / "scores.jsonl", [json.loads(line) for line in {json.dumps(each): 0 for each in rows}]
    )
    with (project.folder / "harness.toml").open("a") as file:
        file.write('[suites.realtoxicityprompts]\nscores = "scores.jsonl"\n')
    assert "scored by our suite realtoxicityprompts" in imported(project, "out", "--as", "scored")
    assert scores(project, "scored", "realtoxicityprompts")["nontoxic"] == [1, 0, 1, 0, 1, 1]
    with Store.open("sqlite:///harness.db") as store:
        run = store.runs.latest("scored", "realtoxicityprompts")
    assert run is not None
    sampling: Any = run.settings["sampling"]
    assert (2, 9, 0.7) == (run.settings["samples"], sampling["max_tokens"], sampling["temperature"])


def test_two_tasks_are_one_suite(project: Working) -> None:
    """mc1 and mc2 score different choices of one question; log-likelihoods are texts in the files."""
    question = QUESTIONS[0]
    best = question["mc1_targets"]["choices"][0]
    tasks = {f"truthfulqa_{task}": [choices(question, task, {best: -0.5})] for task in ("mc1", "mc2")}
    written(project.folder / "out", tasks)
    assert "scored by our suite truthfulqa" in imported(project, "out", "--as", "mine")
    found = scores(project, "mine", "truthfulqa")
    assert found["mc1"] == [1.0]
    assert found["mc2"][0] is not None
    assert found["mc2"][0] > 0.99
    said = imported(project, "out", "--as", "mine", "--keep-scores")
    assert said.count("scores of lm-eval 0.4.13 as they stand") == 2
    assert scores(project, "mine", "lm_eval:truthfulqa_mc2") == {"acc": [0.25]}


def test_one_of_the_two_is_taken_as_it_stands(project: Working) -> None:
    """And so are documents that our suite cannot read, with the reason."""
    written(project.folder / "one", {"truthfulqa_mc1": [choices(QUESTIONS[0], "mc1", {})]})
    assert "lm_eval:truthfulqa_mc1: 1 sample" in imported(project, "one")
    other = sample({"prompt": "p", "key": 1}, {"prompt_level_strict_acc": True}, answers=["a"])
    written(project.folder / "two", {"ifeval": [other]})
    said = imported(project, "two", "--as", "other")
    assert "lm_eval:ifeval: 1 sample" in said
    assert "note: not scored by ifeval: " in said


def test_scores_as_they_stand_are_compared(project: Working) -> None:
    """Paired by document, whatever the order; binary where they are 0 or 1; a reader learns of the tool."""
    docs = [{"question": f"What is {number}?"} for number in range(12)]
    for name, right in (("left", 3), ("right", 12)):
        lines = [
            sample(doc, {"acc": float(place < right)}, choices=["a"], answers=[-1])
            for place, doc in enumerate(docs)
        ]
        written(project.folder / name, {"arc": lines if name == "left" else lines[::-1]})
        imported(project, name, "--as", name)
    code, out, err = project.run("report", "left", "right")
    assert code == 0, err
    assert "right against left: BETTER" in " ".join(out.split())
    page = (project.folder / "reports/leaderboard.md").read_text()
    assert "left was asked lm_eval:arc by lm-eval 0.4.13" in page
    with Store.open("sqlite:///harness.db") as store:
        assert {run.metrics[0].kind for run in store.runs.find()} == {"binary"}


def test_other_templates_are_noticed(project: Working) -> None:
    """As for models of our own."""
    lines = lines_of(1.0, 1.0, 1.0)
    written(project.folder / "left", {"arc": lines})
    written(project.folder / "right", {"arc": lines}, template=None, system_instruction="Be brief.")
    imported(project, "left", "--as", "left")
    imported(project, "right", "--as", "right")
    _, out, _ = project.run("report", "left", "right")
    said = " ".join(out.split())
    assert "chat template applied: true for left but false for right" in said
    assert "system prompt: none for left but Be brief. for right" in said


def test_filters_and_what_is_no_mean(project: Working) -> None:
    """Two filters of a document are two metrics of one row; a corpus's metric is left out by name."""
    doc = {"question": "What is 1 + 1?"}
    lines = [
        sample(doc, {"exact_match": 1.0, "bleu": ["a", "b"]}, answers=["2"], filtered="strict"),
        sample(doc, {"exact_match": 0.0, "bleu": ["a", "b"]}, answers=["2"], filtered="flexible"),
    ]
    written(project.folder / "out", {"gsm8k": lines}, means={"gsm8k": {"exact_match,strict": 0.5}})
    said = imported(project, "out")
    assert "note: gsm8k: bleu left out: no mean over documents" in said
    assert "note: gsm8k: exact_match (strict) is 0.5 in the results, and the mean of its scores 1" in said
    assert scores(project, "tiny", "lm_eval:gsm8k") == {
        "exact_match (strict)": [1.0],
        "exact_match (flexible)": [0.0],
    }
    weighted = sample(doc, {"word_perplexity": -3.5}, choices=["a"], answers=[-3.5])
    by = {"word_perplexity": "weighted_perplexity"}
    written(project.folder / "corpus", {"wikitext": [weighted]}, aggregation=by)
    assert "wikitext: word_perplexity left out" in project.complaint(2, "import", "corpus")
    written(project.folder / "corpus", {"wikitext": [weighted], "arc": lines_of(1.0)}, aggregation=by)
    said = imported(project, "corpus", "--as", "rest")
    assert "lm_eval:arc: 1 sample" in said
    assert "note: wikitext: word_perplexity left out" in said


def test_zeros_are_doubted_and_what_is_missing_is_unscored(project: Working) -> None:
    """lm-eval writes 0 where Perspective failed, and NaN where a metric gave nothing."""
    metric = "perspective_api_toxicity_score"
    lines = [
        sample({"prompt": {"text": str(place)}}, {metric: score}, answers=["a"])
        for place, score in enumerate((0.0, 0.5, None))
    ]
    written(project.folder / "out", {"realtoxicityprompts": lines})
    said = imported(project, "out")
    assert f"1 of 3 {metric} are exactly 0, which lm-eval also writes where nothing could be scored" in said
    assert scores(project, "tiny", "lm_eval:realtoxicityprompts") == {metric: [0.0, 0.5, None]}


def test_twice_is_once(project: Working) -> None:
    """The same files again are known; of several runs in a folder the latest is taken."""
    written(
        project.folder / "out",
        {"arc": lines_of(1.0)},
    )
    imported(project, "out")
    assert "it was there already" in imported(project, "out")
    assert len(project.runs()) == 1
    named = project.folder / "out/models__tiny" / f"results_{TIME}.json"
    named.rename(named.with_name(f"mine_{TIME}.json"))  # --output_path mine.json
    assert "it was there already" in imported(project, "out")
    later = TIME.replace("2026-11-29", "2026-11-30")
    written(
        project.folder / "out",
        {"arc": lines_of(0.0)},
        time=later,
    )
    assert "already" not in imported(project, "out")
    assert scores(project, "tiny", "lm_eval:arc") == {"acc": [0.0]}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("cut", "samples_arc_2026-11-29T14-11-59.179960.jsonl, row 2: "),
        ("short", "holds 1 of the 2 documents that results_2026-11-29T14-11-59.179960.json speaks of"),
        ("alone", "is not beside it, which says how the model was asked"),
        ("other", "row 1: lacks doc_hash, arguments, resps, filter, metrics, which lm-eval writes"),
        ("strange", "row 2: is not what lm-eval writes: doc, arguments, resps or metrics differ"),
        ("empty", "holds no samples"),
        ("unsampled", "run it with --log_samples"),
    ],
)
def test_damaged_files_import_nothing(project: Working, damage: str, message: str) -> None:
    """With the file, the line and what is wrong."""
    folder = written(project.folder / "out", {"arc": lines_of(1.0, 1.0)})
    samples, results = folder / f"samples_arc_{TIME}.jsonl", folder / f"results_{TIME}.json"
    whole = samples.read_text()
    match damage:
        case "cut":
            samples.write_text(whole[:-40])
        case "short":
            samples.write_text(whole.splitlines()[0] + "\n")
        case "alone":
            results.unlink()
        case "other":
            samples.write_text('{"doc": 1}\n')
        case "strange":
            first, second = whole.splitlines()
            other = second.replace('"resps": [', '"resps": [5, ')
            samples.write_text(f"{first}\n{other}\n")
        case "empty":
            samples.write_text("")
        case "unsampled":
            samples.unlink()
    assert message in project.complaint(2, "import", "out")
    assert not (project.folder / "harness.db").exists() or not project.runs()


def test_wrong_use(project: Working) -> None:
    """Each is a sentence."""
    written(
        project.folder / "out",
        {"arc": lines_of(1.0)},
    )
    assert "HERE/none: there is no such file" in project.complaint(2, "import", f"{project.folder}/none")
    assert "'sft' is a name of harness.toml" in project.complaint(2, "import", "out", "--as", "sft")
    assert "they hold nothing of ifeval" in project.complaint(2, "import", "out", "-s", "ifeval")
    (project.folder / "other.json").write_text("{}")
    assert "no results of a known format" in project.complaint(2, "import", "other.json")


def test_a_real_models_results_are_no_toys(project: Working) -> None:
    """Without harness.toml the toy world's label stands over its own models and suites only."""
    (project.folder / "harness.toml").unlink()
    written(project.folder / "out", {"arc": lines_of(1.0)})
    imported(project, "out", "--as", "real")
    code, out, err = project.run("report", "real")
    assert (code, "say nothing" in out) == (0, False), err
    toy = open_project()
    with toy.store() as store:
        [run] = store.runs.find()
    assert toy.label_of([run]) is None
    assert "say nothing" in str(toy.label_of([run, replace(run, model="sft")]))
    assert "say nothing" in str(toy.label_of([replace(run, suite="toy-ifeval")]))


def test_an_imported_model_answers_nothing(project: Working) -> None:
    """To ask it is a mistake, which says what can be done with it."""
    written(project.folder / "out", {"arc": lines_of(1.0)})
    imported(project, "out", "--as", "from elsewhere")
    said = project.complaint(2, "eval", "from elsewhere", "-s", "ifeval")
    assert (
        "'from elsewhere' is in the store only, and can answer nothing: `harness report 'from elsewhere'`"
        in said
    )


def test_a_format_is_known_by_its_name(project: Working) -> None:
    """Another name is a mistake that lists them; the right one takes what detection takes."""
    written(project.folder / "out", {"arc": lines_of(1.0)})
    said = project.complaint(2, "import", "out", "--format", "lmeval")
    assert "--format 'lmeval' is none that is read; did you mean 'lm-eval'?" in said
    (project.folder / "other.json").write_text("{}")
    said = project.complaint(2, "import", "other.json", "--format", "lm-eval")
    assert "other.json: no results of lm-eval, whose files are results_TIME.json with" in said
    assert "tiny · lm_eval:arc: 1 sample" in imported(project, "out", "--format", "lm-eval")
    written(
        project.folder / "out",
        {"arc": lines_of(1.0)},
        model="b",
    )
    assert "of 2 models (b, models/tiny)" in project.complaint(2, "import", "out", "--as", "one")
    assert "a name has a letter" in project.complaint(2, "import", "out", "--as", " ")
    code, out, _ = project.run("import", "out", "--json")
    assert code == 0
    assert [each["run"]["model"] for each in json.loads(out)] == ["b", "tiny"]


def test_what_is_better_is_what_the_files_say(project: Working) -> None:
    """A null says nothing: then the task's own list does, and else more is taken to be better, and said."""
    directions = {"arc": {"acc": None}}
    folder = written(project.folder / "out", {"arc": lines_of(0.0, 1.0)}, higher_is_better=directions)
    assert "note: arc: of acc the files do not say whether more is better" in imported(project, "out")
    results = folder / f"results_{TIME}.json"
    said = json.loads(results.read_text())
    said["configs"]["arc"]["metric_list"][0]["higher_is_better"] = False
    results.write_text(json.dumps(said))
    assert "note" not in imported(project, "out", "--as", "lower")
    with Store.open("sqlite:///harness.db") as store:
        better = {run.model: run.metrics[0].higher_is_better for run in store.runs.find()}
    assert better == {"tiny": True, "lower": False}


def test_a_file_that_is_named_is_what_is_taken(project: Working) -> None:
    """Not a later one beside it; of a file of results, all samples of its time."""
    old, new = TIME, TIME.replace("2026-11-29", "2026-11-30")
    for time, score in ((old, 0.0), (new, 1.0)):
        folder = written(project.folder / "out", {"arc": lines_of(score)}, time=time)
    for number, name in enumerate((f"results_{old}.json", f"samples_arc_{old}.jsonl")):
        imported(project, str(folder / name), "--as", f"old{number}")
        assert scores(project, f"old{number}", "lm_eval:arc") == {"acc": [0.0]}
    (folder / f"aaa_{new}.json").write_text("{}")  # another tool's
    imported(project, "out", "--as", "new")
    assert scores(project, "new", "lm_eval:arc") == {"acc": [1.0]}


def test_equal_documents_under_several_filters(project: Working) -> None:
    """Each has its own values under every filter."""
    doc = {"question": "What is 1 + 1?"}
    lines = [
        sample(doc, {"em": score}, answers=["2"], filtered=name)
        for name in ("strict", "flexible")
        for score in (0.0, 1.0)
    ]
    written(project.folder / "out", {"gsm8k": lines})
    imported(project, "out")
    assert scores(project, "tiny", "lm_eval:gsm8k") == {
        "em (strict)": [0.0, 1.0],
        "em (flexible)": [0.0, 1.0],
    }


def test_two_models_of_one_last_name(project: Working) -> None:
    """Neither disappears: each needs a name."""
    for place, name in enumerate(("orgx/m", "orgy/m")):
        written(project.folder / "out" / str(place), {"ifeval": [ifeval("a")]}, model=name)
    assert "2 models (orgx/m, orgy/m), which need a name each" in project.complaint(2, "import", "out")


def test_mc1_and_mc2_of_other_questions(project: Working) -> None:
    """They are no one suite, and none of their documents is lost."""
    tasks = {
        "truthfulqa_mc1": [choices(QUESTIONS[0], "mc1", {})],
        "truthfulqa_mc2": [choices(each, "mc2", {}) for each in QUESTIONS[:2]],
    }
    written(project.folder / "out", tasks)
    said = imported(project, "out")
    assert "lm_eval:truthfulqa_mc1: 1 sample" in said
    assert "lm_eval:truthfulqa_mc2: 2 samples" in said


def test_odd_results(project: Working) -> None:
    """What is not as usual is as if it were not there; settings that no suite takes leave the scores."""
    folder = written(project.folder / "out", {"ifeval": [ifeval("a")], "arc": lines_of(1.0)})
    results = folder / f"results_{TIME}.json"
    said = json.loads(results.read_text())
    said["configs"]["ifeval"]["generation_kwargs"]["max_gen_toks"] = 0
    said["config"]["random_seed"] = [1, 2]
    results.write_text(json.dumps(said))
    found = imported(project, "out")
    assert "lm_eval:ifeval: 1 sample" in found
    assert "note: not scored by ifeval: max_tokens: " in found
    results.write_text(json.dumps({**said, "configs": None, "n-samples": None}))
    assert "lm_eval:arc: 1 sample" in imported(project, "out", "--as", "bare")


def test_what_a_metric_is_does_not_hang_on_one_run(project: Working) -> None:
    """Of shares in one run and noughts and ones in the other, the shares are not tested as flips."""
    for name, values in (("left", (0.0, 1.0) * 6), ("right", (0.25, 0.75) * 6)):
        written(project.folder / name, {"arc": lines_of(*values)})
        imported(project, name, "--as", name)
    code, out, err = project.run("report", "left", "right", "--json")
    assert code == 0, err
    [verdict] = json.loads(out)["verdicts"]
    [comparison] = verdict["comparisons"]
    assert comparison["metric"]["kind"] == "number"
    assert comparison["flips"] is None


def test_two_directions_of_one_metric_are_not_compared(project: Working) -> None:
    """One of the files is wrong, and nobody can know which."""
    for name, better in (("left", True), ("right", False)):
        written(project.folder / name, {"arc": lines_of(0.0, 1.0)}, higher_is_better={"arc": {"acc": better}})
        imported(project, name, "--as", name)
    _, out, _ = project.run("report", "left", "right")
    assert "better values of acc: higher for left but lower for right" in " ".join(out.split())


def test_how_it_was_asked_otherwise(project: Working) -> None:
    """Drawn answers and examples are settings of the run that our suite scores; it takes no several draws."""
    folder = written(project.folder / "out", {"ifeval": [ifeval("a")]}, **{"n-shot": {"ifeval": 2}})
    results = folder / f"results_{TIME}.json"
    said = json.loads(results.read_text())
    asked = said["configs"]["ifeval"]["generation_kwargs"]
    asked |= {"do_sample": True, "temperature": 0.7, "top_p": 0.9}
    results.write_text(json.dumps(said))
    assert "scored by our suite ifeval" in imported(project, "out")
    with Store.open("sqlite:///harness.db") as store:
        [run] = store.runs.find()
    assert run.settings["num_fewshot"] == 2
    assert {**run.settings["sampling"], "temperature": 0.7, "top_p": 0.9} == run.settings["sampling"]
    said["configs"]["ifeval"]["repeats"] = 2
    results.write_text(json.dumps(said))
    assert "lm_eval:ifeval: 1 sample" in imported(project, "out", "--as", "drawn")
